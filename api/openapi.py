"""The description of the API: what its routes say of themselves, and what is true of them all."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from api import idempotency
from api.problems import MEDIA_TYPE, Kind

Operation = dict[str, Any]

PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457); see docs/problems.md",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "stable: decide by it"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what is wrong with this request"},
        "request_id": {"type": "string", "description": "as in X-Request-ID and in the logs"},
        "errors": {
            "type": "array",
            "description": "the fields that were refused, and why",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
HEADERS: Final = {
    "X-Request-ID": "the name of the request in the logs",
    "RateLimit-Policy": "the limit of this class of routes",
    "RateLimit": "calls left right now (r), and seconds until there is one more (t)",
    "Retry-After": "seconds after which the call may be repeated",
    "WWW-Authenticate": "what is needed to be let in",
    "Idempotent-Replayed": "true if this answer was given before",
}
REPEATABLE: Final = {
    "name": idempotency.HEADER,
    "in": "header",
    "required": False,
    "description": "Chosen anew for every call; who repeats it gets the same answer for 24 hours",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": r"^[!-~]([ -~]*[!-~])?$",
        "examples": ["run-4711"],
    },
}
ALWAYS: Final = (Kind.URI_TOO_LONG, Kind.HEADERS_TOO_LARGE, Kind.INTERNAL, Kind.UNAVAILABLE)
GUARDED: Final = (Kind.UNAUTHORIZED, Kind.FORBIDDEN, Kind.TOO_MANY)
CHANGING: Final = (
    Kind.BAD_REQUEST,
    Kind.REQUEST_TIMEOUT,
    Kind.CONFLICT,
    Kind.IN_FLIGHT,
    Kind.TOO_LARGE,
    Kind.MEDIA_TYPE,
    Kind.INVALID,
    Kind.KEY_REUSED,
)


class Api(FastAPI):
    """The application, described in full."""

    def openapi(self) -> dict[str, Any]:
        """Return the description (OpenAPI 3.1)."""
        if self.openapi_schema is None:
            _complete(super().openapi())
        return super().openapi()

    @cached_property
    def fixed_paths(self) -> frozenset[str]:
        """The paths without parameters: /deployments/finish is no deployment called finish."""
        paths = (each.path for each in iter_route_contexts(self.routes))
        return frozenset(path for path in paths if path and "{" not in path)


def _complete(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):  # how the framework puts it
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
    components["headers"] = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()
    }
    for path, item in document["paths"].items():
        for method, operation in item.items():
            _complete_operation(path, method, operation)


def _complete_operation(path: str, method: str, operation: Operation) -> None:
    changes = method in ("post", "put", "patch", "delete")
    if changes:
        operation.setdefault("parameters", []).append(REPEATABLE)
    _name_doors(path, operation)
    operation["responses"].pop("422", None)  # as the framework puts it
    kinds = [*ALWAYS]
    kinds += GUARDED if "security" in operation else ()
    kinds += [Kind.of(int(status)) for status in operation["responses"] if status >= "4"]
    kinds += CHANGING if changes else ()
    if "{" in path:
        kinds.append(Kind.NOT_FOUND)
    if operation.get("parameters"):
        kinds.append(Kind.INVALID)
    responses = operation["responses"]
    for kind in kinds:
        answer = responses.setdefault(str(kind.status), {"description": kind.title})
        content = answer.setdefault("content", {}).setdefault(MEDIA_TYPE, _problem_content())
        content["examples"][kind.type.rpartition("/")[2]] = {"value": _example(kind)}
    for answer in responses.values():
        answer.setdefault("headers", {}).update(
            {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}
        )


def _name_doors(path: str, operation: Operation) -> None:
    """Only on paths of a project the operator is let in beside the project's keys."""
    doors = operation.get("security", [])
    if len(doors) > 1 and "{project_id}" not in path:
        operation["security"] = [door for door in doors if "APIKeyHeader" in door]


def _problem_content() -> dict[str, Any]:
    return {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}


def _example(kind: Kind) -> dict[str, Any]:
    return {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": "what is wrong with this request",
        "request_id": "b1e0c6b0f4f04c7c9c1a2f7e6d5c4b3a",
    }
