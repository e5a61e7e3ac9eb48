"""Copies of the private server's programs, for tests that need other ones."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core import settings as configuration
from sql.embedded.install import BUILD, MAJOR, find_installation

EXTENSIONS = f"usr/share/postgresql/{MAJOR}/extension"
LIBRARIES = f"usr/lib/postgresql/{MAJOR}/lib"


def link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def rewrite(source: Path, target: Path, *changes: tuple[str, str]) -> None:
    """Write `target` as `source` with some texts changed; it may be a link to that."""
    content = source.read_bytes()
    for old, new in changes:
        assert old.encode() in content
        content = content.replace(old.encode(), new.encode())
    target.unlink(missing_ok=True)
    target.write_bytes(content)


class Programs:
    """A copy of the private installation that can be given another version of the extension."""

    def __init__(self, cache_dir: Path, original: Path) -> None:
        self.cache_dir = cache_dir
        self.root = cache_dir / BUILD
        shutil.copytree(original, self.root, symlinks=True, copy_function=link)
        manifest = self.root / "manifest.json"
        rewrite(manifest, manifest, (str(original), str(self.root)))

    @property
    def version(self) -> str:
        """Of the extension."""
        control = (self.root / EXTENSIONS / "timescaledb.control").read_text()
        return control.partition("default_version = '")[2].partition("'")[0]

    def bring_next_version(self) -> tuple[str, str]:
        """Put the next version beside the present one, as a package would; return both."""
        folder, libraries = self.root / EXTENSIONS, self.root / LIBRARIES
        control = folder / "timescaledb.control"
        present = self.version
        series, _, last = present.rpartition(".")
        before, following = f"{series}.{int(last) - 1}", f"{series}.{int(last) + 1}"
        assert len(following) == len(present)  # or the library would break
        library = libraries / f"timescaledb-{present}.so"
        rewrite(library, libraries / f"timescaledb-{following}.so", (present, following))
        rewrite(
            folder / f"timescaledb--{before}--{present}.sql",
            folder / f"timescaledb--{present}--{following}.sql",
            (present, following),
            (before, present),
        )
        rewrite(control, control, (present, following))
        return present, following


@contextmanager
def copy_programs() -> Iterator[Programs]:
    """Lend a copy, in a folder of its own; skip the test where there are none to be copied."""
    original = find_installation(configuration.load().cache_dir)
    if original is None:
        pytest.skip("there is no private server on this machine (seqpulse db start)")
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-programs-"))
    folder.chmod(0o755)  # the server runs under another account when we are root
    try:
        yield Programs(folder, original)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
