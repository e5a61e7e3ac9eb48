"""Kinds of problems."""

from __future__ import annotations

import pytest

from api.problems import TYPE, Kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, Kind.NOT_FOUND),
        (409, Kind.CONFLICT),
        (422, Kind.INVALID),
        (418, Kind.BAD_REQUEST),
        (500, Kind.INTERNAL),
        (504, Kind.INTERNAL),
    ],
)
def test_every_status_has_a_general_kind(status: int, kind: Kind) -> None:
    assert Kind.of(status) is kind


def test_types_are_all_different() -> None:
    types = [kind.type for kind in Kind]
    assert len(set(types)) == len(types)
    assert all(each.startswith(TYPE) for each in types)
