"""Signatures as Standard Webhooks defines them, so that any library of it can check ours.

What is signed is `id.timestamp.body`: whoever alters one of the three has no signature, and an old
message cannot pass for a new one.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def new_secret() -> str:
    """Return a fresh 256-bit secret of a receiver, `whsec_` and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def compute(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return one signature, `v1,` and base64.

    Args:
        secret: As `new_secret` makes them.
        message_id: Without a full stop.
        timestamp: Unix seconds.
        body: As it is sent, byte for byte.
    """
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def sign(valid: Sequence[str], message_id: str, sent_at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that prove to a receiver that a message is ours.

    Args:
        valid: Secrets that count; two of them while a receiver changes from one to the other.
        message_id: Stays the same however often the message is sent.
        sent_at: Aware moment of this attempt; receivers refuse what is minutes old.
        body: As it is sent, byte for byte.
    """
    timestamp = int(sent_at.timestamp())
    signatures = (compute(secret, message_id, timestamp, body) for secret in valid)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
