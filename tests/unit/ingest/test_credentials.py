"""Credentials: what may be sent, and that nothing is repeated in an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInputError
from ingest.credentials import Scheme, make_header


@pytest.mark.parametrize(
    ("scheme", "credential", "header"),
    [
        (Scheme.BEARER, "t0k3n", ("Authorization", "Bearer t0k3n")),
        (Scheme.BASIC, "user:pass:word", ("Authorization", "Basic dXNlcjpwYXNzOndvcmQ=")),
        (Scheme.HEADER, "X-Scope-OrgID: team 1 ", ("X-Scope-OrgID", "team 1")),
    ],
)
def test_a_credential_becomes_a_header(
    scheme: Scheme, credential: str, header: tuple[str, str]
) -> None:
    assert make_header(scheme, credential) == header


@pytest.mark.parametrize(
    ("scheme", "credential"),
    [
        (Scheme.BEARER, ""),
        (Scheme.BEARER, "hunter2\r\nX-Evil: 1"),
        (Scheme.BEARER, "hunter2\u00e9"),
        (Scheme.BEARER, "hunter2" * 1000),
        (Scheme.BASIC, "hunter2"),
        (Scheme.HEADER, "hunter2"),
        (Scheme.HEADER, "X-Empty:"),
        (Scheme.HEADER, "X Odd: hunter2"),
        (Scheme.HEADER, "Host: hunter2"),
        (Scheme.HEADER, "host: hunter2"),
        (Scheme.HEADER, "Transfer-Encoding: hunter2"),
        (Scheme.HEADER, "Content-Length: 7"),
        (Scheme.HEADER, "X-SeqPulse-Signature: hunter2"),
    ],
)
def test_what_cannot_be_sent_is_refused_without_repeating_it(
    scheme: Scheme, credential: str
) -> None:
    with pytest.raises(InvalidInputError, match="credential") as caught:
        make_header(scheme, credential)
    assert "hunter2" not in str(caught.value)


@given(st.sampled_from(Scheme), st.text())
def test_no_credential_breaks_out_of_its_header(scheme: Scheme, credential: str) -> None:
    try:
        name, value = make_header(scheme, credential)
    except InvalidInputError:
        return
    assert (name + value).isascii()
    assert (name + value).isprintable()
