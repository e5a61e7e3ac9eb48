"""A private PostgreSQL with TimescaleDB for machines that have none: no root, no Docker.

`install` puts the programs into the cache folder, `cluster` makes the files, `launch` starts a
server under the eyes of a `keeper`, `server` is what others call.
"""

from sql.embedded.server import Server, running, start, status, stop

__all__ = ["Server", "running", "start", "status", "stop"]
