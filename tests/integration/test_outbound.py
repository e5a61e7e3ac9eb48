"""The way to receivers, against receivers that mean harm."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from core.errors import CollectError, InvalidInputError
from core.types import CollectCode
from ingest.guard import parse_rules
from ingest.outbound import AT_ONCE, AT_ONCE_EACH, Outbound, Parcel, check_receiver

ONE, TWO = UUID(int=1), UUID(int=2)
SECRET = "SecretPathOfTheTests"


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    async with Outbound(parse_rules(("127.0.0.0/8",)), timeout_seconds=1) as outbound:
        yield outbound


@asynccontextmanager
async def serving(head: str, drip: bytes = b"", times: int = 0) -> AsyncIterator[str]:
    """Answer with a head, and then a piece again and again, as long as somebody listens."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            writer.write(head.replace("\n", "\r\n").encode())
            for _ in range(times) if times else itertools.count():
                if not drip:
                    break
                writer.write(drip)
                await writer.drain()
                await asyncio.sleep(0)
            await reader.read()
        except ConnectionError:
            pass  # it has had enough
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{SECRET}"


async def fails(outbound: Outbound, url: str, *, wants_body: bool = False) -> CollectError:
    with pytest.raises(CollectError) as caught:
        await outbound.send(Parcel(url, {"X-Token": SECRET}, b"{}"), ONE, wants_body=wants_body)
    assert SECRET not in repr(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    return caught.value


async def test_a_head_without_end_is_not_waited_for(outbound: Outbound) -> None:
    async with serving("HTTP/1.1 200 OK\n", b"X-More: %b\r\n" % (b"x" * 1000)) as url:
        assert (await fails(outbound, url)).code in (CollectCode.NETWORK, CollectCode.TIMEOUT)


async def test_interim_answers_without_end_are_not_waited_for(outbound: Outbound) -> None:
    async with serving("", b"HTTP/1.1 102 Processing\r\n\r\n") as url:
        assert (await fails(outbound, url)).code is CollectCode.TIMEOUT


async def test_silence_is_not_waited_for(outbound: Outbound) -> None:
    async with serving("HTTP/1.1 200") as url:
        error = await fails(outbound, url)
    assert (error.code, error.permanent) == (CollectCode.TIMEOUT, False)


async def test_a_body_nobody_wants_is_not_read(outbound: Outbound) -> None:
    head = "HTTP/1.1 200 OK\nContent-Length: 99999999999\nConnection: close\n\n"
    async with serving(head, b"x" * 65_536) as url:
        reply = await outbound.send(Parcel(url, {}, b"{}"), ONE)
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ("HTTP/1.1 200 OK\nContent-Type: application/json\n\n", CollectCode.TOO_LARGE),
        ("HTTP/1.1 200 OK\nContent-Type: text/html\n\n", CollectCode.PAYLOAD_INVALID),
        (
            "HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Encoding: gzip\n\n",
            CollectCode.PAYLOAD_INVALID,
        ),
    ],
)
async def test_a_body_that_is_wanted_is_bounded(
    outbound: Outbound, head: str, code: CollectCode
) -> None:
    async with serving(head, b"x" * 65_536) as url:
        assert (await fails(outbound, url, wants_body=True)).code is code


async def test_nobody_listens(outbound: Outbound) -> None:
    async with serving("") as url:
        pass
    assert (await fails(outbound, url)).code is CollectCode.REFUSED


async def test_only_what_is_public_is_told_unless_it_is_allowed() -> None:
    async with serving("HTTP/1.1 200 OK\n\n") as url:
        async with Outbound() as closed:
            error = await fails(closed, url)
        assert (error.code, error.permanent) == (CollectCode.FORBIDDEN_TARGET, True)
        async with Outbound(parse_rules(("127.0.0.0/8",), (), ("443",))) as narrow:
            assert (await fails(narrow, url)).code is CollectCode.FORBIDDEN_TARGET


def test_room_is_bounded_in_all_and_for_each(outbound: Outbound) -> None:
    held = [outbound.admit(ONE) for _ in range(AT_ONCE_EACH)]
    assert all(each.__enter__() for each in held)
    with outbound.admit(ONE) as more, outbound.admit(TWO) as other:
        assert (more, other) == (False, True)
    others = [outbound.admit(UUID(int=number)) for number in range(9, 9 + AT_ONCE - AT_ONCE_EACH)]
    assert all(each.__enter__() for each in others)
    with outbound.admit(TWO) as more:
        assert more is False
    held.pop().__exit__(None, None, None)
    with outbound.admit(ONE) as again:
        assert again is True
    for each in held + others:
        each.__exit__(None, None, None)
    with outbound.admit(ONE) as last:
        assert last is True


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example.com/a/b?c=d", "https://hooks.example.com"),
        ("http://chat.internal:8065/hooks/x", "http://chat.internal:8065"),
    ],
)
def test_of_a_url_scheme_and_host_are_shown(url: str, shown: str) -> None:
    assert check_receiver(url) == shown


@pytest.mark.parametrize("url", ["", "x", "file:///etc/passwd", "http://a:b@x/", "http://0x7f.1/"])
def test_a_url_nobody_would_be_told_at_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^url: "):
        check_receiver(url)
