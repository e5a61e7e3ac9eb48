"""The collector and TLS: a read goes to a checked address, its certificate must be for the name."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from unittest.mock import Mock
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.errors import CollectError
from core.types import PLANS, CollectCode, Target
from ingest.collector import Collector

GOOD = (
    b'{"metrics": {"requests_per_sec": 1, "latency_p95": 1, "error_rate": 0, '
    b'"cpu_usage": 0, "memory_usage": 0}}'
)
NAME = "service.test"


def make_certificate(folder: Path, *names: x509.GeneralName) -> Path:
    """Write a self-signed certificate for these names, with its key, and return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


@asynccontextmanager
async def serve(certificate: Path | None) -> AsyncIterator[int]:
    """Answer one good reading per connection, with TLS or without, and yield the port."""
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(4096)
            head = f"Content-Type: application/json\r\nContent-Length: {len(GOOD)}\r\n"
            writer.write(b"HTTP/1.1 200 OK\r\n" + head.encode() + b"\r\n" + GOOD)
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def collect(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read an endpoint whose name leads to this machine."""
    answer = Mock(return_value=[(0, 0, 0, "", ("127.0.0.1", 0))])
    monkeypatch.setattr(socket, "getaddrinfo", answer)
    async with Collector(
        timeout_seconds=5.0, slot_seconds=60.0, target_allow=("127.0.0.0/8",)
    ) as reads:
        await reads.collect(Target(UUID(int=7), "prod", endpoint, PLANS["pro"]))


@pytest.mark.parametrize("host", [NAME, f"{NAME}."])
async def test_a_trusted_certificate_for_the_name_is_accepted(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path, x509.DNSName(NAME))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with serve(certificate) as port:
        await collect(f"https://{host}:{port}/", monkeypatch)


@pytest.mark.parametrize(
    "wrong", [x509.DNSName("other.test"), x509.IPAddress(ip_address("127.0.0.1"))]
)
async def test_a_trusted_certificate_for_another_name_or_the_address_is_refused(
    wrong: x509.GeneralName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path, wrong)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with serve(certificate) as port:
        with pytest.raises(CollectError, match="certificate refused: Hostname mismatch") as caught:
            await collect(f"https://{NAME}:{port}/", monkeypatch)
    assert caught.value.code is CollectCode.TLS


async def test_a_self_signed_certificate_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(make_certificate(tmp_path, x509.DNSName(NAME))) as port:
        with pytest.raises(CollectError, match="self-signed") as caught:
            await collect(f"https://{NAME}:{port}/", monkeypatch)
    assert caught.value.code is CollectCode.TLS


async def test_plain_http_where_tls_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(None) as port:
        with pytest.raises(CollectError, match="TLS failed: WRONG_VERSION_NUMBER") as caught:
            await collect(f"https://{NAME}:{port}/", monkeypatch)
    assert caught.value.code is CollectCode.TLS
