"""The data plane's router."""

import pytest

from baas.kernel.http.request import Request, Response
from baas.kernel.http.routes import Route, Router


def _handler(request: Request) -> Response:
    return Response()


def _routes(*lines: str) -> Router:
    split = [line.split(" ", 1) for line in lines]
    return Router(
        Route(method=method, path=path, handler=_handler, summary="") for method, path in split
    )


ROUTER = _routes(
    "GET /p/{project}/docs/{id}",
    "PUT /p/{project}/docs/{id}",
    "GET /p/{project}/docs/special",
    "POST /p/{project}/f/{name}:invoke",
    "GET /p/{project}/f/{name}",
    "GET /p/{project}/o/{path...}",
    "POST /p/{project}/o",
    "GET /p/{project}/o/list/of",
)


@pytest.mark.parametrize(
    ("path", "route", "parameters"),
    [
        ("/p/a/docs/1", "/p/{project}/docs/{id}", {"project": "a", "id": "1"}),
        ("/p/a/docs/special", "/p/{project}/docs/special", {"project": "a"}),
        ("/p/a/f/x:y", "/p/{project}/f/{name}", {"project": "a", "name": "x:y"}),
        ("/p/a/o/b/c/d.txt", "/p/{project}/o/{path...}", {"project": "a", "path": "b/c/d.txt"}),
        ("/p/a/o/b//c/", "/p/{project}/o/{path...}", {"project": "a", "path": "b//c/"}),
        ("/p/a/o/list/of", "/p/{project}/o/list/of", {"project": "a"}),
        ("/p/a/o/list/more", "/p/{project}/o/{path...}", {"project": "a", "path": "list/more"}),
    ],
)
def test_it_finds_the_route_and_its_parameters(
    path: str, route: str, parameters: dict[str, str]
) -> None:
    match = ROUTER.match("GET", path)
    assert isinstance(match, tuple)
    assert (match[0].path, match[1]) == (route, parameters)


def test_a_verb_belongs_to_its_name() -> None:
    match = ROUTER.match("POST", "/p/a/f/n:invoke")
    assert isinstance(match, tuple)
    assert match[1] == {"project": "a", "name": "n"}


@pytest.mark.parametrize(
    "path", ["/", "/p", "/p/a", "/p/a/docs", "/p/a/docs/", "/p/a/docs/1/", "/p//docs/1", "/p/a/o/",
             "/p/a/f/:invoke/x", "x", ""]
)  # fmt: skip
def test_what_is_no_address_has_no_route(path: str) -> None:
    assert ROUTER.match("GET", path) is None


def test_another_method_gets_those_that_are_there() -> None:
    assert ROUTER.match("DELETE", "/p/a/docs/1") == ["GET", "PUT"]


def test_head_falls_back_to_get() -> None:
    match = ROUTER.match("HEAD", "/p/a/docs/1")
    assert isinstance(match, tuple)
    assert match[0].method == "GET"
    assert ROUTER.match("HEAD", "/p/a/o") == ["POST"]


def test_a_literal_route_hides_no_route_of_another_method() -> None:
    match = ROUTER.match("PUT", "/p/a/docs/special")
    assert isinstance(match, tuple)
    assert match[0].path == "/p/{project}/docs/{id}"
    assert match[1] == {"project": "a", "id": "special"}
