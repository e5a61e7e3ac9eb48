"""One read of a target, from its stored endpoint to five numbers."""

from __future__ import annotations

import asyncio
import math
import os
import secrets
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_network
from types import TracebackType
from typing import Final, Self

import httpx

from core.errors import CollectError, InvalidInputError
from core.logs import redact
from core.types import CollectCode, Reading, Target
from ingest import guard, payload
from ingest.limiter import Limiter
from ingest.signature import sign

MAX_DETAIL_LENGTH: Final = 200
MAX_RETRY_AFTER_SECONDS: Final = 3600.0


class Collector:
    """Reads targets. Belongs to one event loop; leave its `async with` block to close it.

    It sits on httpx's transport, not its client: that one has no redirects, cookies, proxies,
    netrc or log lines with URLs, which all would have to be switched off.
    """

    def __init__(
        self,
        *,
        timeout_seconds: float,
        slot_seconds: float,
        target_allow: Sequence[str] = (),
        max_concurrency: int = 100,
    ) -> None:
        """Prepare to read; nothing is sent yet.

        Args:
            timeout_seconds: Total time for one read; up to half of it may go to waiting for a turn.
            slot_seconds: The time in which a target may have `Plan.reads_per_slot` reads.
            target_allow: Networks (CIDR) that may be read although they are not public.
            max_concurrency: Reads at the same time.
        """
        self._timeout_seconds = timeout_seconds
        self._allow = tuple(ip_network(network) for network in target_allow)
        self._limiter = Limiter(
            slot_seconds=slot_seconds,
            max_concurrency=max_concurrency,
        )
        # No connection is kept: they are told apart by address, and one address has many names.
        # SSL_CERT_FILE and SSL_CERT_DIR name a private authority; else certifi's list counts.
        self._transport = httpx.AsyncHTTPTransport(
            verify=httpx.create_ssl_context(),
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._transport.aclose()

    async def collect(
        self,
        target: Target,
        *,
        within_seconds: float = math.inf,
        now: datetime | None = None,
        nonce: str | None = None,
    ) -> Reading:
        """Read `target` once.

        Args:
            target: What to read.
            within_seconds: Time left for it, if that is less than the timeout.
            now: Moment the read is signed with; by default the clock's.
            nonce: Nonce the read is signed with; by default 128 random bits.

        Raises:
            CollectError: The target could not be read; nothing else is raised.
        """
        seconds = min(self._timeout_seconds, within_seconds)
        try:
            async with (
                asyncio.timeout(seconds),
                self._limiter.admit(target, patience_seconds=seconds / 2),
            ):
                return await self._read(
                    target, now or datetime.now(UTC), nonce or secrets.token_urlsafe(16)
                )
        except CollectError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a hostile peer provokes in a library
            raise explain(error) from None

    async def _read(self, target: Target, now: datetime, nonce: str) -> Reading:
        url = guard.check_url(target.endpoint)
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await guard.resolve(guard.host_of(url), port, self._allow)
        response = await self._get(url, addresses, _headers(url, target, now, nonce))
        try:
            check_status(response, now)
            return payload.parse(await payload.read_body(response))
        finally:
            await response.aclose()

    async def _get(
        self, url: httpx.URL, addresses: Sequence[guard.Address], headers: Mapping[str, str]
    ) -> httpx.Response:
        """Send the request to the first address that accepts a connection."""
        *others, last = addresses
        for address in others:
            with suppress(httpx.ConnectError):
                return await self._send(url, address, headers)
        return await self._send(url, last, headers)

    async def _send(
        self, url: httpx.URL, address: guard.Address, headers: Mapping[str, str]
    ) -> httpx.Response:
        """Send the request to one address; TLS is still verified for the name."""
        name = guard.host_of(url).removesuffix(".")  # as certificates spell it
        pinned = url.copy_with(host=str(address))
        request = httpx.Request("GET", pinned, headers=headers, extensions={"sni_hostname": name})
        return await self._transport.handle_async_request(request)


def _headers(url: httpx.URL, target: Target, now: datetime, nonce: str) -> dict[str, str]:
    headers = {
        "Host": url.netloc.decode("ascii"),
        "User-Agent": "seqpulse-server",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    if target.hmac_secret is not None:
        path = url.raw_path.decode("ascii")
        headers |= sign(target.hmac_secret, "GET", path, target.project_id, now, nonce)
    return headers


def check_status(response: httpx.Response, now: datetime) -> None:
    """Let only an answer with status 200 pass; a redirect is not followed.

    Raises:
        CollectError: `auth_rejected`, `rate_limited` or `status`, by the status.
    """
    status = response.status_code
    detail = f"HTTP {status}"
    if status in (401, 403):
        raise CollectError(CollectCode.AUTH_REJECTED, detail, permanent=True)
    if status in (429, 503):
        code = CollectCode.RATE_LIMITED if status == 429 else CollectCode.STATUS
        pause = parse_retry_after(response.headers.get("Retry-After", ""), now)
        raise CollectError(code, detail, retry_after_seconds=pause)
    if status != 200:
        raise CollectError(CollectCode.STATUS, detail)


def parse_retry_after(text: str, now: datetime) -> float | None:
    """Return the pause a `Retry-After` header asks for, 0..3600 seconds, or None if it is unclear.

    Both forms of RFC 9110 are read: whole seconds and an HTTP date.
    """
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_RETRY_AFTER_SECONDS)
    try:
        moment = parsedate_to_datetime(text[:64])
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def explain(error: Exception) -> CollectError:
    """Return what went wrong as one of ours; the text holds no address, URL or header."""
    if isinstance(error, InvalidInputError):  # it was accepted once, but never again will be
        return CollectError(CollectCode.FORBIDDEN_TARGET, str(error), permanent=True)
    causes = list(_causes(error))
    for cause in causes:
        match cause:
            case TimeoutError() | httpx.TimeoutException():
                return CollectError(CollectCode.TIMEOUT, "no complete answer in time")
            case ssl.SSLCertVerificationError():
                reason = getattr(cause, "verify_message", "unknown")
                return _brief(CollectCode.TLS, f"certificate refused: {reason}")
            case ssl.SSLError():
                reason = getattr(cause, "reason", "unknown")  # only OpenSSL's own errors have one
                return _brief(CollectCode.TLS, f"TLS failed: {reason}")
            case ConnectionRefusedError():
                return CollectError(CollectCode.REFUSED, "connection refused")
            case httpx.ProtocolError():
                return CollectError(CollectCode.NETWORK, "the answer is cut off or not HTTP/1.1")
    match causes[-1]:
        case OSError(errno=int(number)):
            return CollectError(CollectCode.NETWORK, os.strerror(number).lower())
        case root:
            return CollectError(CollectCode.NETWORK, f"connection lost ({type(root).__name__})")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those behind it: httpx wraps httpcore, which wraps anyio's and ssl's.

    The context counts as well, because httpcore re-raises without a cause (`from None`).
    """
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _brief(code: CollectCode, detail: str) -> CollectError:
    return CollectError(code, redact(" ".join(detail.split()))[:MAX_DETAIL_LENGTH])
