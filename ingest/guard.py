"""Where a request may go: the shape of a URL, and the addresses its host leads to.

The name is resolved once and the read goes to exactly the addresses that were checked, so that a
second answer of the DNS (rebinding) has nobody to fool.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

import httpx

from core.errors import CollectError, InvalidInputError
from core.types import CollectCode

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
LookUp: TypeAlias = Callable[[str, int], Awaitable[Sequence[Address]]]
"""From a name and a port to its addresses; none if it has none."""

MAX_URL_LENGTH: Final = 2048
MAX_HOST_LENGTH: Final = 253
MAX_ADDRESSES: Final = 4  # so that one name cannot make us knock at a thousand doors

_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_NUMERIC_LABEL = re.compile(r"0x[0-9a-f]*|[0-9]+")

# `is_global` differs between Python versions and calls multicast, 6to4, NAT64 and others global.
# So these are spelled out, and of IPv6 only what is assigned as global unicast may pass.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NOT_PUBLIC: Final = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments, one cloud's metadata among them
        "192.88.99.0/24",  # 6to4 relays
        "168.63.129.16/32",  # a cloud's host agent: a public number for a private service
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments, Teredo (embeds IPv4) among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 (embeds IPv4)
        "3fff::/20",  # documentation
    )
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator allows and forbids.

    Attributes:
        networks: May be read although they are not public.
        hosts: Names in lower case that may be read wherever they lead.
        ports: Ranges, the end excluded.
    """

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    ports: tuple[range, ...] = (range(1, 65_536),)


def parse_rules(
    networks: Sequence[str], hosts: Sequence[str] = (), ports: Sequence[str] = ("1-65535",)
) -> Rules:
    """Return the rules as the settings spell them: CIDRs, names, ports like `443` or `8000-9000`.

    Raises:
        ValueError: That is no network, or no port.
    """
    edges = [part.partition("-") for part in ports]
    return Rules(
        tuple(ip_network(network) for network in networks),
        frozenset(host.lower().removesuffix(".") for host in hosts),
        tuple(range(int(first), int(last or first) + 1) for first, _, last in edges),
    )


@lru_cache(maxsize=4096)
def check_url(text: str, what: str = "the metrics endpoint") -> httpx.URL:
    """Return a text as a URL if it is one we would ever ask; no DNS is asked.

    Args:
        text: From outside.
        what: What it is, for whoever gave it.

    Raises:
        InvalidInputError: It is not; the text says why and never repeats what was given.
    """
    if len(text) > MAX_URL_LENGTH:
        raise _refused(what, f"is longer than {MAX_URL_LENGTH} characters")
    if not text.isprintable() or " " in text:
        raise _refused(what, "contains whitespace or control characters")
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise _refused(what, "is not a URL") from None
    if url.scheme not in ("http", "https"):
        raise _refused(what, "must start with http:// or https://")
    if url.userinfo:
        raise _refused(what, "must not contain a user name or password")
    if "#" in text:
        raise _refused(what, "must not contain a fragment (#)")
    if url.port is not None and not 1 <= url.port <= 65_535:
        raise _refused(what, "has a port outside 1..65535")
    if not _is_host(host_of(url)):
        raise _refused(what, "must name its host: a DNS name, or an IP address in its usual form")
    return url


def host_of(url: httpx.URL) -> str:
    """Return the host in ASCII: a name, or an address without brackets."""
    return url.raw_host.decode("ascii")


async def resolve(host: str, port: int, rules: Rules, look_up: LookUp) -> tuple[Address, ...]:
    """Return the addresses of `host` in the order to try, at most `MAX_ADDRESSES`.

    Args:
        host: A name or an address.
        port: TCP port.
        rules: What the operator allows.
        look_up: Asked once, unless `host` is an address.

    Raises:
        CollectError: `dns` if there is no address; `forbidden_target` if the port is not allowed,
            or if any address is neither public nor allowed, because then the name is not to be
            trusted with the others either.
    """
    if not any(port in ports for ports in rules.ports):
        raise _forbidden("the port is not in SEQPULSE_TARGET_PORTS")
    try:
        found: Sequence[Address] = [ip_address(host)]
    except ValueError:
        found = await look_up(host, port)
    if not found:
        raise CollectError(CollectCode.DNS, "the host name cannot be resolved")
    addresses = tuple(dict.fromkeys(_unmap(address) for address in found))
    if host.lower().removesuffix(".") not in rules.hosts and not all(
        is_public(address) or _is_in(address, rules.networks) for address in addresses
    ):
        raise _forbidden(
            "the host has an address that is neither public nor in SEQPULSE_TARGET_ALLOW"
        )
    return addresses[:MAX_ADDRESSES]


def is_public(address: Address) -> bool:
    """Say whether `address` belongs to the public Internet and to one single host there."""
    address = _unmap(address)
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not _is_in(address, _NOT_PUBLIC)


def _unmap(address: Address) -> Address:
    """Return the IPv4 address inside ::ffff:a.b.c.d, where a connection to it would really go."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_in(address: Address, networks: Collection[Network]) -> bool:
    return any(address in network for network in networks)


def _is_host(host: str) -> bool:
    """Say whether `host` is an address in its usual form, or a name that cannot be one.

    Resolvers also read 2130706433, 0x7f.1 or 0177.0.0.1 as addresses; nobody means well with them.
    """
    try:
        return "%" not in str(ip_address(host))
    except ValueError:
        name = host.removesuffix(".")
        numeric = _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2])
        return len(name) <= MAX_HOST_LENGTH and not numeric and bool(_NAME.fullmatch(name))


def _forbidden(detail: str) -> CollectError:
    return CollectError(CollectCode.FORBIDDEN_TARGET, detail, permanent=True)


def _refused(what: str, problem: str) -> InvalidInputError:
    return InvalidInputError(f"{what} {problem}")
