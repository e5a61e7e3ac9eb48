"""Real programs of Debian for tests: fetched by the machine's own apt, not installed.

As with the private TimescaleDB they come from one Debian whatever this machine runs, and bring
their libraries, the C library among them: its loader starts them.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
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
    root = fetch(package)
    loader = find_loader(root)
    return [str(loader), "--library-path", str(loader.parent), str(root / program)]


def find_loader(root: Path) -> Path:
    """Return what starts the programs of a tree; it lies beside the libraries."""
    (loader,) = root.glob("usr/lib/*/ld-linux-*.so.*")
    return loader


def fetch(package: str, *others: str) -> Path:
    """Return the tree of a package with its libraries, and with those others it depends on.

    It is fetched into the cache folder if need be; the test is skipped where there is no apt.
    """
    if not shutil.which("apt-get"):
        pytest.skip(f"needs apt, to fetch {package}")
    return _fetch(settings.load().cache_dir, package, others)


def _fetch(cache_dir: Path, package: str, others: Sequence[str]) -> Path:
    make_folder(cache_dir)
    root = cache_dir.resolve() / f"{package}-{SUITE}-1"
    with alone(root.with_name(f"{root.name}.lock"), tell) as lock:
        if not root.exists():
            tell(f"downloading {package} of Debian {SUITE} (only once)")
            shop = apt.Workshop(root.with_name(f"{root.name}.draft"), lock)
            shutil.rmtree(shop.folder, ignore_errors=True)
            make_folder(shop.folder)
            apt.choose_mirror(shop, SUITE, debian_mirrors(read_sources()))
            named = "|".join(map(re.escape, (package, *others)))
            wanted = re.compile(rf"({named})$|lib(?!js-)")
            found = {
                name: version
                for name, version in apt.resolve(shop, (package, *others, "libc6")).items()
                if wanted.match(name)
            }
            tree = shop.folder / "tree"
            for file in apt.download(shop, found):
                shop.run("dpkg-deb", "--extract", str(file), str(tree))
            tree.rename(root)
            shutil.rmtree(shop.folder)
    return root
