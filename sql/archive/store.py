"""Where the archive lies: a local folder, or whatever an fsspec URL names.

A file appears under its name with all its content or not at all: in a folder by fsync and rename,
in an object store because a put is so.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import fsspec

from core.errors import ArchiveError
from core.logs import redact

NATIVE: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl"})
"""Protocols that polars reads itself."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine."""

    root: Path

    def __str__(self) -> str:
        return str(self.root)

    def read(self, path: str) -> bytes | None:
        """Return a file, None if there is none."""
        with _explained(path, "read"):
            try:
                return (self.root / path).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, path: str, content: bytes) -> None:
        """Put a file in its place, durably, all at once."""
        target = self.root / path
        draft = target.with_name(f".{target.name}.draft")
        with _explained(path, "written"):
            _make_folder(target.parent)
            try:
                with draft.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    draft.unlink()
                raise
            draft.replace(target)
            _sync_folder(target.parent)

    def find(self, folder: str) -> list[str]:
        """Return the paths of all files below a folder, drafts too."""
        with _explained(folder, "listed"):
            found = (path for path in (self.root / folder).rglob("*") if path.is_file())
            return sorted(path.relative_to(self.root).as_posix() for path in found)

    def remove(self, path: str) -> None:
        """Remove a file."""
        with _explained(path, "removed"):
            (self.root / path).unlink(missing_ok=True)

    def sources(self, paths: Sequence[str]) -> list[str] | list[bytes]:
        """Return what polars can read files from."""
        return [str(self.root / path) for path in paths]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A place named by a URL; credentials come from the environment of the process."""

    url: str
    system: Any  # fsspec is not typed
    root: str

    def __str__(self) -> str:
        return self.url

    def read(self, path: str) -> bytes | None:
        """Return a file, None if there is none."""
        with _explained(path, "read"):
            try:
                content: bytes = self.system.cat_file(f"{self.root}/{path}")
            except FileNotFoundError:
                return None
            return content

    def write(self, path: str, content: bytes) -> None:
        """Put a file in its place, all at once."""
        with _explained(path, "written"):
            self.system.pipe_file(f"{self.root}/{path}", content)

    def find(self, folder: str) -> list[str]:
        """Return the paths of all files below a folder."""
        with _explained(folder, "listed"):
            self.system.invalidate_cache()
            found = self.system.find(f"{self.root}/{folder}")
            return sorted(path[path.index(self.root) + len(self.root) + 1 :] for path in found)

    def remove(self, path: str) -> None:
        """Remove a file."""
        with _explained(path, "removed"), contextlib.suppress(FileNotFoundError):
            self.system.rm_file(f"{self.root}/{path}")

    def sources(self, paths: Sequence[str]) -> list[str] | list[bytes]:
        """Return what polars can read files from: their URLs, or all that is in them."""
        if urlsplit(self.url).scheme in NATIVE:
            return [f"{self.url}/{path}" for path in paths]
        contents = [self.read(path) for path in paths]
        if missing := [path for path, content in zip(paths, contents, strict=True) if not content]:
            raise ArchiveError(f"{missing[0]} is missing")
        return [content for content in contents if content]


Store: TypeAlias = Folder | Bucket


def open_store(place: str) -> Store:
    """Return the store in a folder or at a URL like `s3://bucket/folder`.

    Raises:
        ArchiveError: The URL cannot be used; the text does not repeat it.
    """
    scheme, separator, rest = place.partition("://")
    if not separator:
        return Folder(Path(place).absolute())
    if scheme == "file":
        return Folder(Path(rest).absolute())
    parts = urlsplit(place)
    if parts.password or parts.query:
        raise ArchiveError(
            "the URL of the archive must not carry credentials: give them by the environment, in "
            "the variables of the store"
        )
    try:
        system, root = fsspec.core.url_to_fs(place)
    except (ImportError, OSError, ValueError) as error:
        raise ArchiveError(f"{scheme}:// cannot be used: {redact(str(error))}") from None
    return Bucket(place.rstrip("/"), system, root.rstrip("/"))


@contextmanager
def _explained(path: str, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or redact(str(error)) or type(error).__name__
        raise ArchiveError(f"{path or 'the archive'} cannot be {done}: {reason}") from None


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
