"""The header that proves to a target who we are: bearer token, user and password, or any other."""

from __future__ import annotations

import base64
import re
from enum import StrEnum
from typing import Final

from core.errors import InvalidInputError

MAX_LENGTH: Final = 4_096
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_RESERVED = re.compile(
    r"(?i)host|connection|content-.*|transfer-encoding|te|trailer|upgrade|expect|accept.*"
    r"|user-agent|cookie|proxy-.*|x-seqpulse-.*"
)


class Scheme(StrEnum):
    """How a credential is spelled."""

    BEARER = "bearer"  # a token
    BASIC = "basic"  # user:password
    HEADER = "header"  # Name: value


def make_header(scheme: Scheme, credential: str) -> tuple[str, str]:
    """Return name and value of the header that carries a credential.

    Raises:
        InvalidInputError: It cannot be sent; the text never repeats it.
    """
    name, value = "Authorization", f"Bearer {credential}"
    if scheme is Scheme.BASIC:
        if ":" not in credential:
            raise InvalidInputError("credential: must be of the form user:password")
        value = f"Basic {base64.b64encode(credential.encode()).decode()}"
    if scheme is Scheme.HEADER:
        name, _, value = (part.strip() for part in credential.partition(":"))
        if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
            raise InvalidInputError("credential: must be of the form Name: value")
    if not credential.strip() or not _VALUE.fullmatch(value) or len(value) > MAX_LENGTH:
        raise InvalidInputError(
            f"credential: must be visible ASCII characters, at most {MAX_LENGTH}"
        )
    return name, value
