"""Configuration: environment variables `SEQPULSE_*`, validated once, passed as a plain value.

Every setting is documented in docs/settings.md; `load` is the only reader of the environment.
"""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core import keys
from core.errors import SettingsError
from core.secrets import MIN_MASTER_KEY_LENGTH, Vault

_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
_BASE_URL = re.compile(r"https?://[A-Za-z0-9._~:\[\]-]+(/[A-Za-z0-9._~%-]+)*/?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")

Seconds = Annotated[float, Field(gt=0, le=86_400)]


def _home(root: str, variable: str, fallback: str) -> Path:
    """Folder for our files: a system folder for root, the XDG folder of anybody else."""
    if os.geteuid() == 0:
        return Path(root)
    return Path(os.environ.get(variable) or Path.home() / fallback) / "seqpulse"


class Settings(BaseSettings):
    """All settings with their defaults; lengths in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="SEQPULSE_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    database_url: SecretStr | None = Field(None, description="postgresql://… of a TimescaleDB")
    analyst_url: SecretStr | None = Field(
        None, description="what `seqpulse sql` asks, as seqpulse_analyst; unset: the database"
    )
    data_dir: Path = Field(
        default_factory=lambda: _home("/var/lib/seqpulse", "XDG_DATA_HOME", ".local/share"),
        description="where the private database and the generated secrets live",
    )
    cache_dir: Path = Field(
        default_factory=lambda: _home("/var/cache/seqpulse", "XDG_CACHE_HOME", ".cache"),
        description="where the downloaded TimescaleDB is unpacked",
    )
    archive_url: str | None = Field(
        None, description="folder or URL that samples are archived to before they are dropped"
    )
    secret_key: SecretStr | None = Field(
        None, min_length=MIN_MASTER_KEY_LENGTH, description="master key for stored secrets"
    )
    secret_key_previous: SecretStr | None = Field(
        None, min_length=MIN_MASTER_KEY_LENGTH, description="master key before, while it counts"
    )
    secret_key_file: Path | None = Field(None, description="file with the master key instead")
    operator_token: SecretStr | None = Field(
        None, min_length=16, description="bearer token of the administration routes"
    )
    ds_metrics_secret: SecretStr | None = Field(
        None, min_length=16, description="signs reads of the API's own /ds-metrics"
    )
    metrics_token: SecretStr | None = Field(
        None, min_length=16, description="bearer token that /metrics wants"
    )

    api_host: str = Field("127.0.0.1", description="address the API listens on")
    api_port: int = Field(8080, ge=0, le=65_535, description="port the API listens on, 0: any")
    public_url: str | None = Field(
        None, description="where people and receivers reach the API, for links to it"
    )
    metrics_host: str = Field("127.0.0.1", description="address a worker tells its metrics on")
    metrics_port: int | None = Field(
        None, ge=0, le=65_535, description="port a worker tells its metrics on, 0: any; None: off"
    )
    access_log: bool = Field(True, description="whether the API logs every request")
    body_seconds: Seconds = Field(
        10, le=600, description="time a request body may take; three times that for a push"
    )
    reads_per_minute: int = Field(
        1000, ge=1, le=1_000_000, description="reads of one API key, counted per process"
    )
    changes_per_minute: int = Field(
        100, ge=1, le=1_000_000, description="calls of one API key that change something"
    )
    failures_per_minute: int = Field(
        5, ge=1, le=1_000_000, description="wrong keys, tokens and signatures of one address"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, JSON elsewhere"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe event that is logged"
    )

    pool_size: int = Field(10, ge=2, le=200, description="database connections per process")
    worker_concurrency: int = Field(
        500, ge=1, le=10_000, description="jobs one worker holds at the same time"
    )
    poll_seconds: Seconds = Field(
        10, le=10, description="safety net when no notification arrives; at most 10"
    )
    reap_seconds: Seconds = Field(0.4, description="how often workers look for dead ones")

    slot_seconds: Seconds = Field(60, description="distance of two slots of a post window")
    baseline_interval_seconds: Seconds = Field(60, description="distance of two baseline slots")
    baseline_window_seconds: Seconds = Field(1800, description="length of the baseline window")
    collect_timeout_seconds: Seconds = Field(10, description="total time for one read of a target")
    collect_retry_seconds: Annotated[tuple[Seconds, ...], NoDecode] = Field(
        (5, 15, 30), description="pauses before the retries of one slot, comma-separated"
    )
    abandoned_seconds: Seconds = Field(
        3600, description="a deployment without finish is taken over by the next trigger after this"
    )
    policy: str = Field("seqpulse-v1", description="the policy that judges: its name, or a file")
    shadow_policies: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="policies whose verdicts are noted beside it, comma-separated"
    )
    target_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="networks targets may lie in although not public, comma-separated CIDRs"
    )
    target_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="names that may be read wherever they lead, comma-separated"
    )
    target_ports: Annotated[tuple[str, ...], NoDecode] = Field(
        ("80", "443", "1024-65535"), description="ports that may be read, comma-separated"
    )
    host_reads_per_second: float = Field(
        50, gt=0, le=100_000, description="reads of one host by all workers together"
    )

    notify_timeout_seconds: Seconds = Field(10, description="total time to tell one receiver")
    notify_retry_seconds: Annotated[tuple[Seconds, ...], NoDecode] = Field(
        (5, 30, 120, 600, 1800, 7200, 18_000, 18_000, 18_000, 18_000),
        description="pauses before the next attempts to tell one receiver, comma-separated",
    )
    github_api_url: str = Field(
        "https://api.github.com", description="API of GitHub, or of a GitHub Enterprise Server"
    )

    keep_samples_days: int = Field(30, ge=8, le=36_500, description="samples and missed slots")
    keep_samples_5m_days: int = Field(180, ge=8, le=36_500, description="five-minute rollup")
    keep_samples_1h_days: int = Field(1826, ge=8, le=36_500, description="hourly rollup")
    keep_runs_days: int = Field(30, ge=1, le=36_500, description="jobs that are done")
    chunk_days: int = Field(7, ge=1, le=30, description="span of one chunk of samples")
    compress_after_days: int = Field(
        7, ge=1, le=36_500, description="age at which chunks are compressed (Community edition)"
    )

    @field_validator(
        "collect_retry_seconds",
        "notify_retry_seconds",
        "shadow_policies",
        "target_allow",
        "target_hosts",
        "target_ports",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:  # noqa: ANN401 - pydantic hands over anything
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("target_allow")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ipaddress.ip_network(network)
            except ValueError:
                raise ValueError("must be networks like 10.0.0.0/8, without host bits") from None
        return value

    @field_validator("target_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_HOST.fullmatch(host) for host in value):
            raise ValueError("must be names like prometheus.internal")
        return value

    @field_validator("target_ports")
    @classmethod
    def _ports(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for ports in value:
            first, _, last = ports.partition("-")
            ends = [int(end) for end in (first, last or first) if _PORT.fullmatch(end)]
            if len(ends) < 2 or not ends[0] <= ends[1] <= 65_535:
                raise ValueError("must be ports like 443 or 8000-9000")
        return value

    @field_validator("public_url", "github_api_url")
    @classmethod
    def _base(cls, value: str | None) -> str | None:
        if value is not None and not _BASE_URL.fullmatch(value):
            raise ValueError("must be like https://seqpulse.example.com, without ? and #")
        return value and value.rstrip("/")

    @field_validator("secret_key", "secret_key_previous", mode="before")
    @classmethod
    def _strip(cls, value: Any) -> Any:  # noqa: ANN401 - pydantic hands over anything
        return value.strip() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _leave_reads_for_post_slots(self) -> Self:
        if self.baseline_interval_seconds < self.slot_seconds / 2:
            raise ValueError(
                "SEQPULSE_BASELINE_INTERVAL_SECONDS must be at least half of SEQPULSE_SLOT_SECONDS:"
                " more baseline reads would use up the reads a plan allows per slot"
            )
        return self

    @model_validator(mode="after")
    def _keep_rollups_longer(self) -> Self:
        if not self.keep_samples_days <= self.keep_samples_5m_days <= self.keep_samples_1h_days:
            raise ValueError(
                "SEQPULSE_KEEP_SAMPLES_DAYS, _5M_DAYS and _1H_DAYS must not decrease: a rollup "
                "outlives what it was made of"
            )
        return self

    def vault(self) -> Vault:
        """Return the vault of this installation.

        With the private database the master key is made once and kept beside the data. With a
        database of your own it must be given, because every process of the installation needs it.

        Raises:
            SettingsError: No key is configured for an external database.
        """
        if self.secret_key is not None:
            before = self.secret_key_previous
            return Vault(
                self.secret_key.get_secret_value(), before.get_secret_value() if before else None
            )
        if self.secret_key_file is not None:
            return keys.read(self.secret_key_file)
        if self.database_url is not None:
            raise SettingsError(
                "SEQPULSE_SECRET_KEY is not set: with a database of your own, give every process "
                f"the same random text of {MIN_MASTER_KEY_LENGTH} or more characters "
                "(make one: openssl rand -hex 32) and keep it with your backups"
            )
        return keys.read_or_create(self.own_key_file)

    def hidden(self) -> list[str]:
        """Return every secret among the settings, for the log to leave out."""
        values = (getattr(self, name) for name in type(self).model_fields)
        plain = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        if self.database_url is not None:
            password = urlsplit(self.database_url.get_secret_value()).password or ""
            plain += [password, unquote(password)]
        return [each for each in plain if each]

    @property
    def own_key_file(self) -> Path:
        """Where the master key of the private database is kept."""
        return self.data_dir / "secret.key"


def load(**overrides: object) -> Settings:
    """Read and validate the settings.

    Args:
        **overrides: Values that win over the environment (command line options, tests).

    Raises:
        SettingsError: One line naming every wrong setting and what is wrong with it; never the
            value, which may be a secret.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        issues = error.errors(include_input=False, include_url=False)
        wrong = "; ".join(_explain(issue["loc"], issue["msg"]) for issue in issues)
        raise SettingsError(f"wrong settings: {wrong}") from None


def _explain(location: tuple[int | str, ...], message: str) -> str:
    """Name the setting, if the issue is about a single one, and what is wrong with it."""
    message = message.removeprefix("Value error, ")
    return f"SEQPULSE_{str(location[0]).upper()}: {message}" if location else message
