"""`GET /v1/openapi.json` says what the doors do."""

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.contract.addresses import ALL, Operation
from tests.installation import Client

# For machines of the installation, not for clients: health checks and scrapes.
NOT_DESCRIBED = {"/healthz", "/readyz", "/metrics", "/v1/openapi.json"}


@pytest.fixture
def document(client: Client) -> Any:
    reply = client.get("/v1/openapi.json")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    return reply.json


def test_it_is_a_valid_document(document: Any) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


@pytest.mark.parametrize(
    "operation", [found for found in ALL if found.path not in NOT_DESCRIBED], ids=str
)
def test_it_has_every_route(document: Any, operation: Operation) -> None:
    described = document["paths"][operation.path.replace("...}", "}")][operation.method.lower()]
    assert any(status.startswith("2") for status in described["responses"])
    problem = described["responses"]["default"]["content"]["application/problem+json"]
    assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_it_describes_nothing_else(document: Any) -> None:
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    known = {(operation.method, operation.path.replace("...}", "}")) for operation in ALL}
    assert described <= known


def test_it_is_made_without_a_warning(capfd: pytest.CaptureFixture[str]) -> None:
    from baas import openapi

    openapi.document.cache_clear()
    json.dumps(openapi.document())
    assert capfd.readouterr().err == ""
