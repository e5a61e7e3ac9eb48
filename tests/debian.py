"""Real programs of Debian for tests: fetched by the machine's own apt, not installed.

As with the private TimescaleDB they come from one Debian whatever this machine runs, and bring
their libraries, the C library among them: its loader starts them.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from core import settings
from sql.embedded import apt
from sql.embedded.account import make_folder
from sql.embedded.install import SUITE, alone
from sql.embedded.sources import debian_mirrors, read_sources


def tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def command(package: str, program: str) -> list[str]:
    """Return the command that starts a program, such as usr/sbin/x, of a package.

    The package and the libraries it depends on are fetched into the cache folder if need be. The
    test is skipped where there is no apt to do so.
    """
    if not shutil.which("apt-get"):
        pytest.skip(f"needs apt, to fetch {package}")
    root = _fetch(settings.load().cache_dir, package)
    (loader,) = root.glob("usr/lib/*/ld-linux-*.so.*")
    return [str(loader), "--library-path", str(loader.parent), str(root / program)]


def _fetch(cache_dir: Path, package: str) -> Path:
    make_folder(cache_dir)
    root = cache_dir.resolve() / f"{package}-{SUITE}-1"
    with alone(root.with_name(f"{root.name}.lock"), tell) as lock:
        if not root.exists():
            tell(f"downloading {package} of Debian {SUITE} (only once)")
            shop = apt.Workshop(root.with_name(f"{root.name}.draft"), lock)
            shutil.rmtree(shop.folder, ignore_errors=True)
            make_folder(shop.folder)
            apt.choose_mirror(shop, SUITE, debian_mirrors(read_sources()))
            wanted = re.compile(rf"{re.escape(package)}$|lib(?!js-)")
            found = {
                name: version
                for name, version in apt.resolve(shop, (package, "libc6")).items()
                if wanted.match(name)
            }
            tree = shop.folder / "tree"
            for file in apt.download(shop, found):
                shop.run("dpkg-deb", "--extract", str(file), str(tree))
            tree.rename(root)
            shutil.rmtree(shop.folder)
    return root
