"""What a function's reply may say to the machinery between it and the client: nothing."""

import orjson
import pytest

from functions.http import response_of


@pytest.mark.parametrize(
    "name", ["X-Accel-Redirect", "x-accel-buffering", "Transfer-Encoding", "Content-Length"]
)
def test_headers_that_order_a_proxy_about_are_left_out(name: str) -> None:
    reply = {"status": 200, "headers": {name: "/v1/other", "X-Own": "kept"}, "body": "x"}
    names = [header.lower() for header, _ in response_of(orjson.dumps(reply)).headers]
    assert name.lower() not in names
    assert "x-own" in names
