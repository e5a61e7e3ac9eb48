"""The error tree. Every error of ours is a `SeqPulseError`; texts never carry a secret."""

from __future__ import annotations

from core.types import CollectCode


class SeqPulseError(Exception):
    """Base of everything SeqPulse raises on purpose."""


class SettingsError(SeqPulseError):
    """A setting is missing or wrong; the text names it and what to do."""


class DatabaseError(SeqPulseError):
    """The database cannot be used as it is: unreachable, not TimescaleDB, wrong schema."""


class MigrationError(DatabaseError):
    """The schema and this code do not fit together."""


class EmbeddedError(SeqPulseError):
    """The private TimescaleDB cannot be installed or started here."""


class SecretError(SeqPulseError):
    """A stored secret cannot be read with the configured key."""


class NotFoundError(SeqPulseError):
    """No such object, or not one the caller may know of."""


class ConflictError(SeqPulseError):
    """The object exists already or is in a state that forbids the change."""


class InvalidInputError(SeqPulseError):
    """A value from outside was refused; the text names the field."""


class ArchiveError(SeqPulseError):
    """The archive cannot be read or written, or is not what it should be; the text says where."""


class CollectError(SeqPulseError):
    """A target could not be read.

    Attributes:
        code: The class of the failure, one of the fixed set.
        detail: A short, redacted explanation.
        permanent: Whether trying the same slot again is pointless.
        retry_after_seconds: The pause the target asked for, if it did.
    """

    def __init__(
        self,
        code: CollectCode,
        detail: str,
        *,
        permanent: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.permanent = permanent
        self.retry_after_seconds = retry_after_seconds
