"""W3C trace context."""

import pytest

from baas.kernel import context

GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_well_formed_traceparent_is_carried_on() -> None:
    assert context.accept_traceparent(GOOD) == GOOD
    assert context.trace_id(GOOD) == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "",
        "x",
        GOOD.upper(),
        GOOD[:-1],
        GOOD + "0",
        "ff" + GOOD[2:],
        GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        GOOD.replace("00f067aa0ba902b7", "0" * 16),
        GOOD.replace("-", "_"),
        GOOD.replace("4", "g"),
        "0" + GOOD[1:].replace("-", "0", 1) + "-",
    ],
)
def test_any_other_is_replaced_by_a_new_one(bad: str | None) -> None:
    made = context.accept_traceparent(bad)
    assert made != bad
    assert context.accept_traceparent(made) == made


def test_what_is_set_for_a_block_ends_with_it() -> None:
    before = context.current()
    with context.use(context.Context(request_id="r", depth=2)):
        assert context.current().depth == 2
    assert context.current() is before
