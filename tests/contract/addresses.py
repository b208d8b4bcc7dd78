"""Every address of the product, read from the doors themselves: a new route is covered at once."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver

from baas import openapi, routes

PROJECT = "/v1/projects/{project}"
# What stands for a parameter; "sample" where nothing is said. Nothing of that name exists.
SAMPLES = {"version": "1"}
_JSON = "application/json"
# What takes no body, or others than JSON within the usual limit. A body that the OpenAPI document
# does not describe, and that is not named here, is taken to be JSON.
OTHER_BODIES = {
    "POST /v1/admin/projects/{project}/keys:rotate",
    *(f"{method} /v1/projects/{{project}}/http/{{path...}}" for method in ("POST", "PUT", "PATCH")),
    "POST /v1/projects/{project}/events",
    "POST /v1/projects/{project}/functions/{name}:invoke",
    "PUT /v1/projects/{project}/functions/{name}",
}

_Address = tuple[str, str]  # method, path with {parameters}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one address."""

    method: str
    path: str  # with {parameters}
    takes_json: bool  # a JSON body and no other

    @property
    def in_project(self) -> bool:
        return self.path.startswith(PROJECT + "/")

    def at(self, project: str) -> str:
        """The path with samples in place of its parameters."""
        return _fill(self.path, project)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _fill(path: str, project: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        return project if name == "project" else SAMPLES.get(name, "sample")

    return re.sub(r"{(\w+)(?:\.\.\.)?}", value, path)


def _control_plane(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[_Address]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _control_plane(pattern.url_patterns, route)
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)
        view = getattr(pattern.callback, "view_class", None)
        names = [name for name in view.http_method_names if hasattr(view, name)] if view else []
        for method in names or ["get"]:
            if method != "options":
                yield method.upper(), path


def _operations() -> Iterator[Operation]:
    described = openapi.document()["paths"]
    data_plane = [(route.method, route.path) for route in routes.data_plane()]
    for method, path in [*data_plane, *_control_plane(get_resolver().url_patterns, "/")]:
        operation = described.get(path.replace("...}", "}"), {}).get(method.lower(), {})
        content = operation.get("requestBody", {}).get("content", {_JSON: {}})
        yield Operation(
            method=method,
            path=path,
            takes_json=method in ("POST", "PUT", "PATCH")
            and list(content) == [_JSON]
            and f"{method} {path}" not in OTHER_BODIES,
        )


ALL = list(_operations())
# HEAD answers as GET does, without the body that says why.
OPERATIONS = [operation for operation in ALL if operation.method != "HEAD"]
IN_PROJECT = [operation for operation in OPERATIONS if operation.in_project]
OF_OPERATORS = [operation for operation in OPERATIONS if operation.path.startswith("/v1/admin/")]
METHODS: dict[str, set[str]] = defaultdict(set)
for _operation in ALL:
    METHODS[_operation.path].add(_operation.method)
