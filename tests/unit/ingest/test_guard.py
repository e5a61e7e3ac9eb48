"""The guard: which endpoints are refused on sight, and which addresses afterwards."""

from __future__ import annotations

import socket
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from unittest.mock import Mock
from uuid import UUID

import httpx
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from core.errors import CollectError, InvalidInputError
from core.types import CollectCode
from ingest.guard import (
    Address,
    Rules,
    check_url,
    host_of,
    is_public,
    parse_rules,
)
from ingest.guard import resolve as resolve_with
from ingest.resolver import Resolver

LOOPBACK = parse_rules(["127.0.0.0/8", "::1/128"])
NOTHING = parse_rules([])
NOT_PUBLIC = """
0.0.0.0 10.1.2.3 100.64.0.1 100.100.100.200 127.0.0.1 168.63.129.16 169.254.169.254 172.16.0.1
192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
239.255.255.250 240.0.0.1 255.255.255.255
:: ::1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1
100::1 2001::1 2001:10::1 2001:db8::1 2002:7f00:1:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254
fe80::1 fec0::1 ff02::1
"""


async def resolve(host: str, port: int, rules: Rules) -> tuple[Address, ...]:
    resolver = Resolver()
    try:
        return await resolve_with(host, port, rules, partial(resolver.look_up, UUID(int=7)))
    finally:
        resolver.close()


@pytest.mark.parametrize(
    "text",
    [
        "http://service",
        "https://Service.example.com:8443/metrics?format=seqpulse",
        "http://my_service.internal./m",
        "http://10.0.0.7:9000/",
        "http://[2001:db8::7]:9000/m",
        "https://bücher.example/m",
        "http://xn--0.com/",
    ],
)
def test_a_plain_endpoint_passes(text: str) -> None:
    assert check_url(text) == httpx.URL(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "http"),
        ("service/metrics", "http"),
        ("ftp://service/", "http"),
        ("file:///etc/passwd", "http"),
        ("http://", "host"),
        ("http:///metrics", "host"),
        ("http://user:hunter2@service/", "user name"),
        ("http://user@service/", "user name"),
        ("http://good.example\\@127.0.0.1/", "user name"),
        ("http://service/#part", "fragment"),
        ("http://service/#", "fragment"),
        ("http://service:0/", "port"),
        ("http://service:65536/", "port"),
        ("http://service:-1/", "port"),
        ("http://service:http/", "not a URL"),
        ("http://service/" + "a" * 2048, "longer"),
        ("http://service/a b", "whitespace"),
        (" http://service/", "whitespace"),
        ("http://service/\r\nX-Evil: 1", "control"),
        ("http://service/\x00", "control"),
        ("http://serv\u200bice/", "control"),
        ("http://service\u3000/", "whitespace"),
        ("http://2130706433/", "host"),
        ("http://0x7f000001/", "host"),
        ("http://0X7F.1/", "host"),
        ("http://127.1/", "host"),
        ("http://127.0.0.1./", "host"),
        ("http://0177.0.0.1/", "not a URL"),
        ("http://127%2e0.0.1/", "host"),
        ("http://[fe80::1%25eth0]/", "host"),
        ("http://a..b/", "host"),
        ("http://.a/", "host"),
        ("http://a../", "host"),
        ("http://" + "a" * 64 + "/", "host"),
        ("http://" + "a." * 127 + "a" + "/", "host"),
        ("http://a\\b/", "host"),
        ("http://[::1/", "not a URL"),
    ],
)
def test_any_other_endpoint_is_refused_without_repeating_it(text: str, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem) as caught:
        check_url(text)
    assert str(caught.value).startswith("the metrics endpoint ")
    assert "hunter2" not in str(caught.value)


@given(st.text() | st.text(alphabet="htps:/@[]%.#?0x7f-1 \\", max_size=30).map("http://".__add__))
@example("http://xn--/")
@example("http://\ud800/")
@example("http://a:" + "9" * 2000)
def test_a_url_is_refused_or_settled_whatever_it_is(text: str) -> None:
    try:
        url = check_url(text)
    except InvalidInputError:
        return
    assert check_url(str(url)) == url
    assert host_of(url).isascii()


@pytest.mark.parametrize("text", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_address(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC.split())
def test_an_address_that_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_becomes_public_by_being_wrapped(address: IPv4Address) -> None:
    number = int(address)
    assert is_public(IPv6Address((0xFFFF << 32) | number)) == is_public(address)
    for wrapped in (number, (0x64FF9B << 96) | number, (0x2002 << 112) | (number << 80)):
        assert not is_public(IPv6Address(wrapped))


@given(st.ip_addresses())
def test_nothing_is_public_that_python_calls_special(address: Address) -> None:
    assume(is_public(address))
    address = getattr(address, "ipv4_mapped", None) or address
    assert address.is_global
    special = ("private", "multicast", "reserved", "loopback", "link_local", "unspecified")
    assert not any(getattr(address, f"is_{kind}") for kind in special)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "::1", "localhost", "2130706433", "0x7f.1", "017700000001", "0"],
)
async def test_no_spelling_of_this_machine_is_let_through(host: str) -> None:
    with pytest.raises(CollectError, match="neither public nor in") as caught:
        await resolve(host, 80, NOTHING)
    assert caught.value.code is CollectCode.FORBIDDEN_TARGET
    assert caught.value.permanent


async def test_an_allowed_network_is_let_through() -> None:
    assert await resolve("127.0.0.1", 80, LOOPBACK) == (ip_address("127.0.0.1"),)
    assert await resolve("::ffff:127.0.0.1", 80, LOOPBACK) == (ip_address("127.0.0.1"),)
    with pytest.raises(CollectError):
        await resolve("10.0.0.1", 80, LOOPBACK)


@pytest.mark.parametrize("host", ["a" * 64, "a..b"])
async def test_a_name_that_cannot_be_one(host: str) -> None:
    with pytest.raises(CollectError) as caught:
        await resolve(host, 80, NOTHING)
    assert caught.value.code is CollectCode.DNS


async def test_a_name_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = Mock(side_effect=socket.gaierror(socket.EAI_NONAME, "unknown"))
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(CollectError) as caught:
        await resolve("nowhere.example", 80, NOTHING)
    assert caught.value.code is CollectCode.DNS
    assert not caught.value.permanent


def answer_with(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let the system's resolver give this answer."""
    answer = Mock(return_value=[(0, 0, 0, "", (address, 80)) for address in addresses])
    monkeypatch.setattr(socket, "getaddrinfo", answer)


async def test_one_private_address_spoils_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, "8.8.8.8", "169.254.169.254")
    with pytest.raises(CollectError) as caught:
        await resolve("mixed.example", 80, LOOPBACK)
    assert caught.value.code is CollectCode.FORBIDDEN_TARGET
    assert "169.254" not in str(caught.value)


async def test_even_the_address_beyond_the_last_to_be_tried_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    public = [f"8.8.8.{n}" for n in range(1, 9)]
    answer_with(monkeypatch, *public)
    assert len(await resolve("many.example", 80, NOTHING)) == 4
    answer_with(monkeypatch, *public, "10.0.0.1")
    with pytest.raises(CollectError):
        await resolve("many.example", 80, NOTHING)


async def test_no_address_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch)
    with pytest.raises(CollectError) as caught:
        await resolve("empty.example", 80, NOTHING)
    assert caught.value.code is CollectCode.DNS


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=12))
def test_reading_numbers_as_addresses_is_never_left_to_the_resolver(host: str) -> None:
    """Whatever glibc takes for an address, `check_url` has seen as one or refused."""
    try:
        found = host_of(check_url(f"http://{host}/"))
        socket.inet_aton(found)
    except (InvalidInputError, OSError):
        return
    assert str(ip_address(found)) == found


@pytest.mark.parametrize(("port", "allowed"), [(80, True), (8000, True), (8010, True), (22, False)])
async def test_ports_are_restricted_by_setting(port: int, *, allowed: bool) -> None:
    rules = parse_rules(["127.0.0.0/8"], [], ["80", "8000-8010"])
    if allowed:
        assert await resolve("127.0.0.1", port, rules)
        return
    with pytest.raises(CollectError, match="SEQPULSE_TARGET_PORTS") as caught:
        await resolve("127.0.0.1", port, rules)
    assert (caught.value.code, caught.value.permanent) == (CollectCode.FORBIDDEN_TARGET, True)


@pytest.mark.parametrize("host", ["metrics.internal", "METRICS.Internal", "metrics.internal."])
async def test_an_allowed_name_may_lead_anywhere_and_no_other(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = parse_rules([], ["Metrics.internal"])
    answer_with(monkeypatch, "10.0.0.7")
    assert await resolve(host, 9090, rules) == (ip_address("10.0.0.7"),)
    for other in ("x.metrics.internal", "metrics.internal.evil.example", "10.0.0.7"):
        with pytest.raises(CollectError):
            await resolve(other, 9090, rules)
