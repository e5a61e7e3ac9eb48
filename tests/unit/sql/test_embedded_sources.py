from __future__ import annotations

from pathlib import Path

import pytest

from sql.embedded import sources
from sql.embedded.sources import Source, debian_mirrors, parse_lines, parse_stanzas, read_sources

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib   # the archive
deb-src http://mirror.example/debian bookworm main
  deb [ arch=amd64 signed-by=/keys/a.gpg ] https://mirror.example/debian/ sid main
deb [trusted=yes] file:/srv/flat ./
deb cdrom:[Debian GNU/Linux 12 _Bookworm_ - Official amd64]/ bookworm main
deb http://incomplete.example
"""

DEB822 = f"""\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian https://mirror.example/debian
Suites: bookworm bookworm-updates
# a comment between fields
components: main
 contrib
Signed-By: {KEYRING}

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main


Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm
Components: main
"""


def test_one_line_format() -> None:
    first, second, flat, disc = parse_lines(ONE_LINE)
    assert first == Source("http://mirror.example/debian", ("bookworm",), ("main", "contrib"))
    assert second == Source("https://mirror.example/debian/", ("sid",), ("main",), "/keys/a.gpg")
    assert flat == Source("file:/srv/flat", ("./",), ())
    assert not disc.is_debian


def test_stanzas() -> None:
    suites, components = ("bookworm", "bookworm-updates"), ("main", "contrib")
    assert parse_stanzas(DEB822) == [
        Source("http://mirror.example/debian", suites, components, KEYRING),
        Source("https://mirror.example/debian", suites, components, KEYRING),
    ]


def test_a_key_in_the_stanza_is_kept_verbatim() -> None:
    key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQ\n -----END PGP PUBLIC KEY BLOCK-----"
    text = (
        f"Types: deb\nURIs: http://a.example/debian\nSuites: sid\nComponents: main\nSigned-By:{key}"
    )
    (source,) = parse_stanzas(text)
    assert source.signed_by == key
    assert parse_stanzas(sources.render(source, "trixie")) == [
        Source("http://a.example/debian", ("trixie",), ("main",), key)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        " continuation of nothing",
        "no colon",
        "Types: deb",
        "\x00\ufffd:",
        "deb [",
        ":",
    ],
)
def test_nonsense_is_skipped(text: str) -> None:
    assert parse_lines(text) == []
    assert parse_stanzas(text) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Source("http://mirror.example/debian", ("bookworm",), ("main",)), True),
        (Source("mirror+file:///etc/apt/mirrors/debian.list", ("trixie",), ("main",)), True),
        (Source("https://mirror.example/remote", ("sid",), ("main",), KEYRING), True),
        (Source("http://mirror.example/debian-security", ("bookworm-security",), ("main",)), False),
        (Source("http://mirror.example/debian", ("bookworm-updates",), ("main",)), False),
        (Source("http://mirror.example/debian", ("bookworm",), ("contrib",)), False),
        (Source("https://vendor.example/linux/debian", ("bookworm",), ("stable",)), False),
        (Source("http://mirror.example/ubuntu", ("noble",), ("main",)), False),
        (Source("https://packages.example/apt", ("stable",), ("main",), "/keys/v.gpg"), False),
    ],
)
def test_debian_is_told_from_the_others(source: Source, expected: bool) -> None:
    assert source.is_debian is expected


def test_debian_s_own_keyring_goes_first() -> None:
    foreign = Source("https://vendor.example/debian", ("stable",), ("main",), "/keys/v.gpg")
    own = Source("http://mirror.example/debian", ("bookworm",), ("main",), KEYRING)
    assert debian_mirrors([foreign, own]) == [own, foreign]


def test_both_formats_are_read_from_the_folder(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://one.example/debian sid main\n")
    (parts / "b.sources").write_text(DEB822)
    (parts / "a.list").write_bytes(b"deb http://two.example/\xff sid main\n")
    (parts / "c.list.disabled").write_text("deb http://three.example/debian sid main\n")
    (parts / "folder.list").mkdir()
    assert [source.uri for source in read_sources(tmp_path)] == [
        "http://one.example/debian",
        "http://two.example/\ufffd",
        "http://mirror.example/debian",
        "https://mirror.example/debian",
    ]


def test_no_sources_at_all(tmp_path: Path) -> None:
    assert read_sources(tmp_path) == []


def test_the_stanza_we_write_asks_for_the_suite_and_for_signatures() -> None:
    mirror = Source("http://a.example/debian", ("sid", "bookworm"), ("main", "contrib"), "/k.gpg")
    assert parse_stanzas(sources.render(mirror, "trixie")) == [
        Source("http://a.example/debian", ("trixie",), ("main",), "/k.gpg")
    ]
