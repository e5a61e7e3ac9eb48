"""The signature of a read: HMAC v2, as the published SDKs validate it."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

VERSION: Final = "v2"
TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
NONCE_TTL_SECONDS: Final = 300


def canonical_path(path: str) -> str:
    """Return `path` as it is signed: a leading slash, no trailing one, no query.

    All trailing slashes go: an SDK strips one more from what we send, and the two must agree.
    """
    bare = path.partition("?")[0].rstrip("/")
    return bare if bare.startswith("/") else f"/{bare}"


def compute(secret: str, timestamp: str, method: str, path: str, nonce: str) -> str:
    """Return the signature of a request, for a path that is canonical already."""
    text = f"{timestamp}|{method.upper()}|{path}|{nonce}"
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"sha256={digest}"


def sign(
    secret: str, method: str, path: str, project_id: UUID, now: datetime, nonce: str
) -> dict[str, str]:
    """Return the headers that prove to an SDK that this request is ours.

    Args:
        secret: The HMAC secret shared with the target.
        method: HTTP method.
        path: Path of the request in its percent-encoded (ASCII) form; a query is not signed.
        project_id: The project this read is for.
        now: Aware moment of signing; SDKs accept it 300 s late and 30 s early.
        nonce: A text never used before; SDKs refuse to see it twice.
    """
    timestamp = now.astimezone(UTC).strftime(TIME_FORMAT)
    signed_path = canonical_path(path)
    return {
        "X-SeqPulse-Timestamp": timestamp,
        "X-SeqPulse-Nonce": nonce,
        "X-SeqPulse-Signature": compute(secret, timestamp, method, signed_path, nonce),
        "X-SeqPulse-Signature-Version": VERSION,
        "X-SeqPulse-Canonical-Path": signed_path,
        "X-SeqPulse-Method": method.upper(),
        "X-SeqPulse-Nonce-TTL": str(NONCE_TTL_SECONDS),
        "X-SeqPulse-Project-Id": str(project_id),
    }
