"""What the description cannot say, for the run of test_openapi.py."""

from __future__ import annotations

import itertools
import os
import re
from typing import Any

import schemathesis
from hypothesis import strategies as st

NAME = st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z]", fullmatch=True)
PATH = st.from_regex(r"(/[A-Za-z0-9._~-]{1,20}){0,3}", fullmatch=True)
PORT = st.sampled_from(["", ":80", ":443", ":8080"])

schemathesis.openapi.format(
    "metrics-endpoint",
    st.builds(
        lambda scheme, name, port, path: f"{scheme}://{name}.example{port}{path}",
        st.sampled_from(["http", "https"]),
        NAME,
        PORT,
        PATH,
    ),
)

_numbers = itertools.count()


@schemathesis.hook
def map_headers(_context: Any, headers: Any) -> Any:  # noqa: ANN401 - of the library
    """A key means one call, so every call gets one of its own."""
    if headers and "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = f"{next(_numbers)}-{headers['Idempotency-Key']}"[:255]
    return headers


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:  # noqa: ANN401 - of the library
    """The key that calls must stay alive."""
    own = os.environ["SEQPULSE_TEST_API_KEY"].split("_")[1]
    parameters = case.path_parameters or {}
    if case.operation.path.endswith("/rotate-key") or parameters.get("key_id") == own:
        parameters["project_id"] = os.environ["SEQPULSE_TEST_OTHER_PROJECT"]
    wait = (case.query or {}).get("wait")
    if not isinstance(wait, bool) and re.fullmatch(r"[1-5]?\d(\.\d+)?|60", str(wait)):
        case.query["wait"] = 0.01  # nobody has the time to wait for long
