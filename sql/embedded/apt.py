"""Lets the machine's own apt download packages of another Debian, without installing them.

apt works on a private state in a folder of ours. The machine's configuration (proxies,
certificates, credentials) keeps applying; ours is read after it and has the last word on folders
and signatures.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import EmbeddedError
from core.logs import redact
from sql.embedded.process import run
from sql.embedded.sources import Source, render

ALTERNATIVES: Final = (
    "set SEQPULSE_DATABASE_URL to a TimescaleDB of yours, or run one with Docker "
    "(compose or testcontainers) from the Community image timescale/timescaledb"
)
TIMEOUT_SECONDS: Final = 900

_CONFIGURATION = """\
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/mirror.sources";
Dir::Etc::sourceparts "{folder}/none";
Dir::Etc::preferences "{folder}/none/preferences";
Dir::Etc::preferencesparts "{folder}/none";
APT::Default-Release "";
APT::Install-Recommends "false";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "2";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""
_AS_ROOT = 'APT::Sandbox::User "root";\n'  # the account _apt cannot write to our folder


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where an installation is made.

    Attributes:
        folder: Private to us, thrown away afterwards.
        lock: Descriptor that stays open as long as any program started here runs.
    """

    folder: Path
    lock: int

    def run(self, *command: str) -> str:
        """Run a program to its end; return what it wrote to stdout.

        Raises:
            EmbeddedError: It failed.
        """
        return run(
            *command,
            lock=self.lock,
            folder=self.folder,
            environment={**os.environ, "LC_ALL": "C"},  # with the machine's proxies
            umask=0o022,
            seconds=TIMEOUT_SECONDS,
        )


def require_tools(*names: str) -> None:
    """Make sure the programs are on PATH.

    Raises:
        EmbeddedError: One is missing.
    """
    for name in names:
        if not shutil.which(name):
            raise EmbeddedError(
                f"no {name} on this machine to download a private TimescaleDB with: {ALTERNATIVES}"
            )


def choose_mirror(shop: Workshop, suite: str, mirrors: list[Source]) -> None:
    """Make apt know the packages of `suite`, from the first of the mirrors that has it.

    Raises:
        EmbeddedError: There is no mirror, or none can be used.
    """
    for name in ("state/lists/partial", "cache/archives/partial", "none"):
        (shop.folder / name).mkdir(parents=True)
    (shop.folder / "status").touch()  # as if nothing were installed: every dependency is listed
    configuration = _CONFIGURATION.format(folder=shop.folder)
    as_root = _AS_ROOT if os.geteuid() == 0 else ""
    (shop.folder / "apt.conf").write_text(configuration + as_root)
    failures = ["no Debian mirror in its package sources"]
    for mirror in mirrors:
        (shop.folder / "mirror.sources").write_text(render(mirror, suite))
        try:
            _apt(shop, "update", "--error-on=any")
        except EmbeddedError as error:
            failures.append(f"{redact(mirror.uri)}: {error}")
        else:
            return
    raise EmbeddedError(
        f"this machine's apt cannot download Debian {suite}: {failures[-1]}; {ALTERNATIVES}"
    )


def resolve(shop: Workshop, packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of `packages` and of all they depend on, by name."""
    plan = _apt(shop, "--simulate", "install", *packages)
    return dict(re.findall(r"^Inst (\S+) (?:\[\S+] )?\((\S+)", plan, re.MULTILINE))


def download(shop: Workshop, packages: dict[str, str]) -> list[Path]:
    """Fetch the packages; apt compares each with the signed index. Return the files."""
    _apt(shop, "download", *(f"{name}={version}" for name, version in packages.items()))
    return sorted(shop.folder.glob("*.deb"))


def _apt(shop: Workshop, *arguments: str) -> str:
    return shop.run("apt-get", "-c", str(shop.folder / "apt.conf"), "-q", *arguments)
