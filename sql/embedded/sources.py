"""Finds a Debian mirror among the package sources this machine is configured with.

Both formats of sources.list(5) are read: one line per source (`*.list`) and deb822 stanzas
(`*.sources`). What cannot be understood is skipped, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

APT_FOLDER: Final = Path("/etc/apt")
DEBIAN_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
CODENAMES: Final = frozenset({"buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid"})
ALIASES: Final = frozenset({"oldoldstable", "oldstable", "stable", "testing", "unstable"})
DEBIAN_SUITES: Final = CODENAMES | ALIASES
"""Suites of the main archive; `-security` lives elsewhere, `-updates` and the like add to these."""

_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<rest>.*)")
_FIELD = re.compile(r"([A-Za-z-]+):[ \t]*(.*)")
_NO = frozenset({"no", "false", "without", "off", "disable", "0"})


@dataclass(frozen=True, slots=True)
class Source:
    """One place packages come from.

    Attributes:
        signed_by: What the entry says its signatures must come from, verbatim: paths, fingerprints
            or a whole key. Empty: anything apt trusts.
    """

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""

    @property
    def is_debian(self) -> bool:
        """Whether this is the main archive of Debian, as far as its entry tells."""
        return (
            ("debian" in self.uri.lower() or "debian-archive" in self.signed_by)
            and not self.uri.startswith("cdrom:")
            and not DEBIAN_SUITES.isdisjoint(self.suites)
            and "main" in self.components
        )


def parse_lines(text: str) -> list[Source]:
    """Read the one-line format: `deb [options] uri suite components`."""
    found = []
    for line in text.splitlines():
        if match := _LINE.fullmatch(line.partition("#")[0].strip()):
            options = dict(
                part.split("=", 1) for part in (match["options"] or "").split() if "=" in part
            )
            signed_by = options.get("signed-by", "")
            components = tuple(match["rest"].split())
            found.append(Source(match["uri"], (match["suite"],), components, signed_by))
    return found


def parse_stanzas(text: str) -> list[Source]:
    """Read the deb822 format: stanzas of `Field: value`, values continued on indented lines."""
    found = []
    lines = [line.rstrip() for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\n+", "\n".join(lines)):
        fields = _parse_fields(stanza)
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "") not in _NO:
            suites = tuple(fields.get("suites", "").split())
            components = tuple(fields.get("components", "").split())
            signed_by = fields.get("signed-by", "")
            uris = fields.get("uris", "").split()
            found += [Source(uri, suites, components, signed_by) for uri in uris]
    return found


def _parse_fields(stanza: str) -> dict[str, str]:
    """Return the fields of one stanza by lower-case name, continuation lines kept as they are."""
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1].isspace():
            fields[name] = f"{fields.get(name, '')}\n{line}"
        elif match := _FIELD.fullmatch(line):
            name = match[1].lower()
            fields[name] = match[2].strip()
    return fields


def read_sources(folder: Path = APT_FOLDER) -> list[Source]:
    """Return the enabled sources of this machine in apt's order, unreadable files skipped."""
    found = []
    parts = sorted((folder / "sources.list.d").glob("*"))
    for path in [folder / "sources.list", *parts]:
        parse = {".list": parse_lines, ".sources": parse_stanzas}.get(path.suffix)
        try:
            found += parse(path.read_text(errors="replace")) if parse else []
        except OSError:
            continue
    return found


def debian_mirrors(sources: list[Source]) -> list[Source]:
    """Return the sources that are Debian's archive, those signed by Debian's own keyring first."""
    mirrors = [source for source in sources if source.is_debian]
    return sorted(mirrors, key=lambda source: "debian-archive" not in source.signed_by)


def render(mirror: Source, suite: str) -> str:
    """Return a deb822 stanza that takes `suite` main from the mirror, signatures required."""
    signed_by = mirror.signed_by or (str(DEBIAN_KEYRING) if DEBIAN_KEYRING.exists() else "")
    lines = ["Types: deb", f"URIs: {mirror.uri}", f"Suites: {suite}", "Components: main"]
    return "\n".join([*lines, *([f"Signed-By: {signed_by}"] if signed_by else [])]) + "\n"
