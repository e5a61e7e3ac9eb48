"""Links that people without an API key may follow: to one report each, for some weeks.

A link is signed with a key derived from the master key and stored nowhere. Whoever has one can read
that report, as whoever has the message it came in. They end with the master key that signed them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from core import secrets
from core.secrets import Vault

LIFE: Final = timedelta(days=30)
_TOKEN: Final = re.compile(r"([1-9][0-9]{0,10})\.[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Links:
    """Makes links.

    Attributes:
        public_url: Where the API is reached, without a slash at the end.
        vault: Signs.
    """

    public_url: str
    vault: Vault

    def verdict(self, deployment_id: UUID) -> str:
        """Return where a verdict is; it wants an API key."""
        return f"{self.public_url}/deployments/{deployment_id}/verdict"

    def report(self, deployment_id: UUID) -> str:
        """Return where a report is; it wants an API key."""
        return f"{self.public_url}/deployments/{deployment_id}/report"

    def open_report(self, deployment_id: UUID, judged_at: datetime) -> str:
        """Return a link to a report that needs no key until `LIFE` after the verdict."""
        token = seal(self.vault, deployment_id, judged_at + LIFE)
        return f"{self.report(deployment_id)}?token={token}"


def make(public_url: str | None, vault: Vault) -> Links | None:
    """Return what makes links, if it is known where they lead."""
    return None if public_url is None else Links(public_url, vault)


def seal(vault: Vault, deployment_id: UUID, until: datetime) -> str:
    """Return the token of a link: when it ends (Unix seconds) and a signature of that."""
    seconds = int(until.timestamp())
    return f"{seconds}.{vault.sign(f'report {deployment_id} {seconds}')}"


def is_good(vault: Vault, deployment_id: UUID, token: str, now: datetime) -> bool:
    """Return whether a token was made for this deployment and has not ended."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        return False
    until = datetime.fromtimestamp(int(found[1]), UTC)
    vaults = (vault, vault.previous or vault)
    matches = [secrets.same(token, seal(each, deployment_id, until)) for each in vaults]
    return any(matches) and now < until
