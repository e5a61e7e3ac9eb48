"""Read a policy's file: strict TOML or JSON into frozen dataclasses, and back into plain values.

Nothing is guessed and nothing is skipped: an unknown key, a wrong type or a missing number is an
error that names file and key.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from core.errors import InvalidInputError
from core.types import METRICS, Metric

T = TypeVar("T")

Table: TypeAlias = Mapping[str, object]

LARGEST: Final = 64 * 1024
"""Most bytes a policy file may have."""


def read_table(path: Path) -> dict[str, object]:
    """Return the content of a `.toml` or `.json` file.

    Raises:
        InvalidInputError: It cannot be read, is too large, or is no valid TOML or JSON.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise InvalidInputError(f"{path.name}: cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise InvalidInputError(f"{path.name}: larger than {LARGEST // 1024} KiB")
    try:
        return _parse(path.suffix, content.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path.name}: {str(error)[:200]}") from None


def _parse(suffix: str, text: str) -> dict[str, object]:
    match suffix:
        case ".toml":
            return tomllib.loads(text)
        case ".json":
            table = json.loads(text, object_pairs_hook=_distinct)
            if isinstance(table, dict):
                return table
            raise ValueError("must be an object")
    raise ValueError("must be a .toml or .json file")


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a key appears twice")
    return table


def fill(kind: type[T], table: Table, where: str) -> T:
    """Return the dataclass `kind` with the values of `table`.

    Args:
        kind: A dataclass of numbers, texts, sets of metrics, tables by metric and dataclasses.
        table: Its fields by name; those with a default may be left out.
        where: The key of the table itself, for messages.

    Raises:
        InvalidInputError: A key is unknown or missing, or a value is not of the field's type or
            refused by the dataclass.
    """
    kinds = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise InvalidInputError(f"{where}.{show(key)}: unknown; one of {', '.join(known)}")
    for name, field in known.items():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and name not in table:
            raise InvalidInputError(f"{where}.{name}: missing")
    values = {key: _value(kinds[key], value, f"{where}.{key}") for key, value in table.items()}
    try:
        return kind(**values)
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}.{error}") from None


def _value(kind: Any, value: object, where: str) -> Any:  # noqa: ANN401 - whatever the field is
    if get_origin(kind) is frozenset:
        return _metrics(value, where)
    if is_dataclass(kind) and isinstance(kind, type):
        return fill(kind, expect(dict, value, where), where)
    if get_origin(kind) is not None and issubclass(get_origin(kind), Mapping):
        of = get_args(kind)[1]
        table = expect(dict, value, where)
        return MappingProxyType(
            {parse_metric(key, where): _value(of, table[key], f"{where}.{key}") for key in table}
        )
    return _scalar(kind, value, where)


def _scalar(kind: type, value: object, where: str) -> object:
    if kind is float and type(value) is int:
        value = float(value) if abs(value) < 1 << 53 else value
    if type(value) is not kind or (isinstance(value, float) and not isfinite(value)):
        raise InvalidInputError(f"{where}: must be {NAMES[kind]}")
    if isinstance(value, int | float) and value < 0:
        raise InvalidInputError(f"{where}: must not be negative")
    return value


NAMES: Final[Mapping[type, str]] = {
    float: "a finite number",
    int: "a whole number",
    bool: "true or false",
    str: "a text",
    dict: "a table",
    list: "a list",
}


def expect(kind: type[T], value: object, where: str) -> T:
    """Return `value` if it is of type `kind` (no subclass of it), else raise InvalidInputError."""
    if type(value) is kind:
        return value
    raise InvalidInputError(f"{where}: must be {NAMES[kind]}")


def _metrics(value: object, where: str) -> frozenset[Metric]:
    metrics = [parse_metric(each, where) for each in expect(list, value, where)]
    if len(set(metrics)) < len(metrics):
        raise InvalidInputError(f"{where}: names a metric twice")
    return frozenset(metrics)


def parse_metric(name: object, where: str) -> Metric:
    """Return the metric called `name`, or raise InvalidInputError."""
    if name in METRICS:
        return Metric(str(name))
    raise InvalidInputError(
        f"{where}: {show(name)} is no metric that can be judged; one of {', '.join(METRICS)}"
    )


def show(text: object) -> str:
    """Return something from a file so that it can stand in a message: short and printable."""
    return ascii(text)[1:-1][:40] if isinstance(text, str) else f"a {type(text).__name__}"


def plain(value: object) -> Any:  # noqa: ANN401 - as JSON is
    """Return dataclasses, tables by metric, sets and enumerations as JSON-able values, sorted."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(value[key]) for key in sorted(value)}
    if isinstance(value, frozenset):
        return sorted(plain(each) for each in value)
    return value.value if isinstance(value, StrEnum) else value


def merge(base: Table, changes: Table) -> dict[str, object]:
    """Return `base` with `changes`; tables are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = merge(below, value) if both else value  # type: ignore[arg-type]
    return merged
