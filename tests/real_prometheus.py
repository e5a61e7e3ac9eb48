"""The real Prometheus of Debian, run for a test."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from demo.stage import free_port
from tests import debian

PATIENCE_SECONDS: Final = 30.0
CONFIGURATION: Final = """\
global: {{scrape_interval: {interval}, scrape_timeout: {interval}, evaluation_interval: 1m}}
scrape_configs:
- job_name: shop
  static_configs: [{{targets: ['{target}']}}]
"""


@contextmanager
def prometheus(target: str, interval: str = "1s") -> Iterator[str]:
    """Run a Prometheus that scrapes `target` (host:port) as job `shop`; yield its base URL."""
    program = debian.command("prometheus", "usr/bin/prometheus")
    port = free_port()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prometheus-")))
        (folder / "prometheus.yml").write_text(
            CONFIGURATION.format(interval=interval, target=target)
        )
        log = stack.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen(
            [
                *program,
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


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + PATIENCE_SECONDS
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < limit and process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if client.get(url).status_code == 200:
                    return
            time.sleep(0.05)
    raise AssertionError(f"no Prometheus at {url}: {log.read_text(errors='replace')[-1000:]}")
