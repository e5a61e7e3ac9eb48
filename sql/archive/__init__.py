"""History in files: what expires goes into Parquet first, and can be brought back and read there.

`layout` says what it looks like, `manifest` which files belong to it, `store` where it lies.
`extract` reads the database, `write` makes files of it, `expire` archives and drops what is too
old. `verify` checks files, `rebuild` makes a lost manifest anew, `restore` brings days back. `read`
gives all of it as a lazy frame, `seek` what lies in windows.
"""

from sql.archive.layout import MISSED, SAMPLES
from sql.archive.read import scan, scan_all
from sql.archive.seek import Seeker
from sql.archive.store import open_store

__all__ = ["MISSED", "SAMPLES", "Seeker", "open_store", "scan", "scan_all"]
