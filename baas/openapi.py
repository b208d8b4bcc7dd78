"""The OpenAPI document: Django's half from drf-spectacular, the data plane's from its routes."""

import re
from functools import cache
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator

from baas.kernel.http.routes import Route
from baas.routes import data_plane


class _Bearer(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # it has no types
    """Who calls a project: drf-spectacular registers subclasses by itself."""

    target_class = "baas.kernel.http.drf.PrincipalAuthentication"
    name = "bearer"
    description = "An end user's access token, or the project's secret key."

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": self.description}


class _OperatorBearer(_Bearer):  # type: ignore[no-untyped-call]  # it has no types
    target_class = "baas.kernel.control.views.OperatorAuthentication"
    name = "operator"
    description = "An operator's personal access token (`pat_…`)."


PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_PROBLEM_REPLY = {
    "description": "A problem (RFC 9457).",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def _operation(route: Route) -> dict[str, Any]:
    slug = re.sub(r"[^a-z0-9]+", "_", route.path.removeprefix("/v1/")).strip("_")
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()}_{slug}",
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)(?:\.\.\.)?}", route.path)
        ],
        "responses": {"200": {"description": "Success."}},
    }
    if route.idempotency:
        operation["parameters"].append(
            {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}
        )
    further = dict(route.openapi)
    operation["parameters"] += [
        given
        for given in further.pop("parameters", [])
        if (given.get("name"), given.get("in"))
        not in {(there["name"], there["in"]) for there in operation["parameters"]}
    ]
    operation.update(further)
    return operation


_VERBS = {"get": "Get", "put": "Put", "patch": "Change", "delete": "Delete", "post": "Create"}


def _summary(method: str, path: str) -> str:
    """What an operation of the control plane does, by its address: `List functions`."""
    noun = [segment for segment in path.split("/") if not segment.startswith("{")][-1]
    noun, _, _ = noun.partition(":")
    _, _, action = path.partition(":")
    if action:
        return f"{action.capitalize()} {noun}"
    if path.endswith("}"):
        return f"{_VERBS[method]} one of the {noun}"
    return f"List {noun}" if method == "get" and noun.endswith("s") else f"{_VERBS[method]} {noun}"


@cache
def document() -> dict[str, Any]:
    """The whole document, OpenAPI 3.1."""
    schema: dict[str, Any] = SchemaGenerator().get_schema(  # type: ignore[no-untyped-call]
        request=None, public=True
    )
    paths = schema["paths"]
    for route in data_plane():
        path = route.path.replace("...}", "}")
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    for path, operations in paths.items():
        for method, operation in operations.items():
            if "summary" not in operation:
                operation["summary"] = _summary(method, path)
            operation.setdefault("responses", {})["default"] = _PROBLEM_REPLY
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    schema["security"] = [{"bearer": []}, {}]
    return schema
