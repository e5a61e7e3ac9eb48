"""The real Prometheus of Debian: fetched by the machine's own apt, not installed, run for a test.

As with the private TimescaleDB the programs come from one Debian whatever this machine runs, and
bring their own C library: its loader starts them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from demo.stage import free_port
from sql.embedded import apt
from sql.embedded.account import make_folder
from sql.embedded.install import SUITE, alone
from sql.embedded.sources import debian_mirrors, read_sources

NAME: Final = f"prometheus-{SUITE}-1"
PACKAGES: Final = ("prometheus", "libc6")
PATIENCE_SECONDS: Final = 30.0
CONFIGURATION: Final = """\
global: {{scrape_interval: {interval}, scrape_timeout: {interval}, evaluation_interval: 1m}}
scrape_configs:
- job_name: shop
  static_configs: [{{targets: ['{target}']}}]
"""


def tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def install(cache_dir: Path) -> Path:
    """Make sure the programs are in the cache folder; return the folder they are in."""
    make_folder(cache_dir)
    root = cache_dir.resolve() / NAME
    with alone(root.with_name(f"{NAME}.lock"), tell) as lock:
        if not root.exists():
            tell("looking up Prometheus and downloading it (about 30 MB, only once)")
            shop = apt.Workshop(root.with_name(f"{NAME}.draft"), lock)
            shutil.rmtree(shop.folder, ignore_errors=True)
            make_folder(shop.folder)
            apt.choose_mirror(shop, SUITE, debian_mirrors(read_sources()))
            found = apt.resolve(shop, PACKAGES)
            tree = shop.folder / "tree"
            for file in apt.download(shop, {name: found[name] for name in PACKAGES}):
                shop.run("dpkg-deb", "--extract", str(file), str(tree))
            tree.rename(root)
            shutil.rmtree(shop.folder)
    return root


@contextmanager
def prometheus(cache_dir: Path, target: str, interval: str = "1s") -> Iterator[str]:
    """Run a Prometheus that scrapes `target` (host:port) as job `shop`; yield its base URL."""
    root = install(cache_dir)
    port = free_port()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prometheus-")))
        (folder / "prometheus.yml").write_text(
            CONFIGURATION.format(interval=interval, target=target)
        )
        log = stack.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen(
            [
                *_start(root / "usr/bin/prometheus", root),
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, "GOMAXPROCS": "1"},
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(f"{url}/-/ready", process, folder / "log")
            yield url
        finally:
            process.terminate()
            process.wait(20)


def _start(program: Path, root: Path) -> list[str]:
    """Return the command that starts a program with the C library it came with."""
    (loader,) = root.glob("usr/lib/*/ld-linux-*.so.*")
    return [str(loader), "--library-path", str(loader.parent), str(program)]


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + PATIENCE_SECONDS
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < limit and process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if client.get(url).status_code == 200:
                    return
            time.sleep(0.05)
    raise AssertionError(f"no Prometheus at {url}: {log.read_text(errors='replace')[-1000:]}")
