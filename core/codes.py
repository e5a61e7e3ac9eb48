"""Fixed sets of words that are stored: how targets are asked, why slots are missed, who is told."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class CollectCode(StrEnum):
    """Why a slot was missed. Stored, counted and shown; never free text."""

    DNS = "dns"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    TLS = "tls"
    NETWORK = "network"
    STATUS = "status"
    AUTH_REJECTED = "auth_rejected"
    PAYLOAD_INVALID = "payload_invalid"
    TOO_LARGE = "too_large"
    NO_DATA = "no_data"  # the source answered, but knows no value for this moment
    FORBIDDEN_TARGET = "forbidden_target"
    RATE_LIMITED = "rate_limited"  # by the target
    THROTTLED = "throttled"  # by ourselves: the target has had its reads
    BACKED_OFF = "backed_off"  # by ourselves: the target has been failing for long
    NOT_PUSHED = "not_pushed"  # there is no target, and nothing was pushed for this slot
    CANCELLED = "cancelled"  # somebody cancelled its job, or removed the target
    DEADLINE = "deadline"  # nobody was there to collect it in time
    INTERNAL = "internal"  # our own fault


OURS: Final = frozenset(
    {
        CollectCode.THROTTLED,
        CollectCode.BACKED_OFF,
        CollectCode.CANCELLED,
        CollectCode.DEADLINE,
        CollectCode.INTERNAL,
    }
)
"""Codes of slots that were missed without asking the target."""


class SourceKind(StrEnum):
    """How the five numbers are asked for; one module of `ingest` each."""

    SEQPULSE = "seqpulse"
    PROMETHEUS = "prometheus"


class ChannelKind(StrEnum):
    """How somebody is told of a verdict."""

    WEBHOOK = "webhook"  # signed JSON
    SLACK = "slack"  # a message with blocks, also for what understands those of Slack
    GITHUB = "github"  # a deployment status


class DeliveryStatus(StrEnum):
    """What became of one message to one channel."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # nobody tries any more
