"""Which paths of the API a sandbox may ask for."""

from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.host.bridge import RefusedRequestError, checked_target


@pytest.mark.parametrize(
    "path",
    ["/db/c/docs", "/db/c/docs/a%2Fb", "/storage/b/objects/a%20b/c..d", "/x?a=../b&c=%2e%2e"],
)
def test_ordinary_paths_go_below_the_project(path: str) -> None:
    assert checked_target("app", path) == f"/v1/projects/app{path}"


@settings(deadline=None)
@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["..", "%2e", ".", "%2F", "/", "a", "%25"])).map("".join)
)
def test_no_path_leaves_the_project_however_often_it_is_decoded(path: str) -> None:
    try:
        target = checked_target("app", path)
    except RefusedRequestError:
        return
    assert target.startswith("/v1/projects/app/")
    assert target.isascii()
    assert not set(target) & set(" \r\n\\#")
    bare = target.partition("?")[0]
    for _ in range(3):
        assert ".." not in bare.split("/")
        bare = unquote(bare)
