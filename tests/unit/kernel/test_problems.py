"""Problems as RFC 9457 objects."""

import json

import pytest

from baas.kernel import problems
from baas.kernel.problems import FieldError, Problem

ALL = [
    found
    for found in vars(problems).values()
    if isinstance(found, type) and issubclass(found, Problem)
]


@pytest.mark.parametrize("kind", ALL)
def test_every_problem_renders_with_all_members(kind: type[Problem]) -> None:
    problem = json.loads(problems.render(kind("What to do."), "request-1"))
    assert problem == {
        "type": f"urn:baas:problem:{kind.default_code}",
        "title": kind.title,
        "status": kind.status,
        "detail": "What to do.",
        "code": kind.default_code,
        "request_id": "request-1",
    }
    assert 400 <= kind.status < 600


def test_each_kind_has_a_status_of_its_own() -> None:
    kinds = [kind for kind in ALL if kind not in (Problem, problems.Internal)]
    assert len({kind.status for kind in kinds}) == len(kinds)


def test_field_errors_and_further_members_are_shown() -> None:
    problem = problems.BadGateway(
        "It raised.",
        errors=[FieldError("a.b", "invalid", "a number")],
        members={"error": {"type": "ValueError"}},
    )
    shown = problems.as_dict(problem, "r")
    assert shown["errors"] == [{"field": "a.b", "code": "invalid", "detail": "a number"}]
    assert shown["error"] == {"type": "ValueError"}


@pytest.mark.parametrize("kind", [problems.TooMany, problems.Unavailable])
def test_who_shall_come_back_is_told_when(kind: type[problems.TooMany]) -> None:
    assert kind("Wait.", retry_after_s=7).headers == {"Retry-After": "7"}
