"""The way to the outside: one request to an address that was checked, and its whole answer.

Nothing else in SeqPulse opens a connection to a place somebody named.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

import httpx

from core.errors import CollectError, InvalidInputError
from core.logs import redact
from core.types import CollectCode
from ingest import guard
from ingest.payload import MAX_BODY_BYTES, read_body
from ingest.resolver import Resolver

MAX_DETAIL_LENGTH: Final = 200
MAX_RETRY_AFTER_SECONDS: Final = 3600.0
CONNECT_SECONDS: Final = 2.0
"""An address that says nothing for so long is left for the next one, if there is one."""
FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Route:
    """A URL and the addresses it may be asked at; never store it, addresses change hands."""

    url: httpx.URL
    addresses: tuple[guard.Address, ...]

    @property
    def host(self) -> str:
        """The name or address in the URL, in lower case."""
        return guard.host_of(self.url).removesuffix(".")


class Occasion(NamedTuple):
    """What is special about one read.

    Attributes:
        slot_at: The moment the numbers should be of.
        now: The moment the read is signed with.
        nonce: A text never used before.
    """

    slot_at: datetime
    now: datetime
    nonce: str


class Web:
    """Sends requests. Belongs to one event loop.

    It sits on httpx's transport, not its client: that one has no redirects, cookies, proxies,
    netrc or log lines with URLs, which all would have to be switched off.
    """

    def __init__(self, rules: guard.Rules) -> None:
        """Prepare to send; nothing is sent yet."""
        self._rules = rules
        self._resolver = Resolver()
        # No connection is kept: they are told apart by address, and one address has many names.
        # SSL_CERT_FILE and SSL_CERT_DIR name a private authority; else certifi's list counts.
        self._transport = httpx.AsyncHTTPTransport(
            verify=httpx.create_ssl_context(),
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def close(self) -> None:
        """Close what is open."""
        self._resolver.close()
        await self._transport.aclose()

    async def find(self, endpoint: str, project_id: UUID) -> Route:
        """Check a URL and look its host up, once.

        Raises:
            InvalidInputError: It is not one we would ever read.
            CollectError: `dns` or `forbidden_target`.
        """
        url = guard.check_url(endpoint)
        port = url.port or (443 if url.scheme == "https" else 80)
        look_up = partial(self._resolver.look_up, project_id)
        return Route(url, await guard.resolve(guard.host_of(url), port, self._rules, look_up))

    async def exchange(
        self,
        route: Route,
        headers: Mapping[str, str],
        *,
        path: str = "",
        form: bytes | None = None,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> bytes:
        """Send one request and return the body of its answer, JSON as far as its header tells.

        Args:
            route: Where to.
            headers: Beside those every request has.
            path: Replaces path and query of the URL, percent-encoded.
            form: Sent as an HTML form by POST; None: GET.
            max_bytes: The longest body that is read.

        Raises:
            CollectError: It was answered with another status than 200, another media type, an
                encoding, or too much.
            httpx.HTTPError: No complete answer came.
        """
        media_type = {} if form is None else {"Content-Type": FORM}
        async with self.answer(route, media_type | dict(headers), path=path, body=form) as response:
            check_status(response, datetime.now(UTC))
            return await read_body(response, max_bytes)

    @asynccontextmanager
    async def answer(
        self, route: Route, headers: Mapping[str, str], *, path: str = "", body: bytes | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Send one request and lend the head of its answer; the body is still to be read.

        Args:
            route: Where to.
            headers: Beside those every request has.
            path: Replaces path and query of the URL, percent-encoded.
            body: Sent by POST; None: GET.

        Raises:
            httpx.HTTPError: No answer came.
        """
        url = route.url.copy_with(raw_path=path.encode("ascii")) if path else route.url
        sent = _plain_headers(url, body) | dict(headers)
        response = await self._send_to_first(route.addresses, url, sent, body)
        try:
            yield response
        finally:
            await response.aclose()

    async def _send_to_first(
        self,
        addresses: tuple[guard.Address, ...],
        url: httpx.URL,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> httpx.Response:
        """Send the request to the first address that accepts a connection."""
        *others, last = addresses
        for address in others:
            with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return await self._send(address, url, headers, body, CONNECT_SECONDS)
        return await self._send(last, url, headers, body)

    async def _send(
        self,
        address: guard.Address,
        url: httpx.URL,
        headers: Mapping[str, str],
        body: bytes | None,
        connect_seconds: float | None = None,
    ) -> httpx.Response:
        """Send the request to one address; TLS is still verified for the name."""
        name = guard.host_of(url).removesuffix(".")  # as certificates spell it
        request = httpx.Request(
            "GET" if body is None else "POST",
            url.copy_with(host=str(address)),
            headers=headers,
            content=body,
            extensions={"sni_hostname": name, "timeout": {"connect": connect_seconds}},
        )
        return await self._transport.handle_async_request(request)


def _plain_headers(url: httpx.URL, body: bytes | None) -> dict[str, str]:
    headers = {
        "Host": url.netloc.decode("ascii"),
        "User-Agent": "seqpulse-server",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    if body is not None:
        headers["Content-Length"] = str(len(body))
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
