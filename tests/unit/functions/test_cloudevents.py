import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.kernel.problems import Invalid, Malformed, UnsupportedMediaType
from functions.events.cloudevents import BATCHED, STRUCTURED, read

EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "com.acme.x"}


def structured(**change: Any) -> Any:
    event = {name: value for name, value in {**EVENT, **change}.items() if value is not ...}
    [found] = read(STRUCTURED, {}, json.dumps(event).encode())
    return found


def test_structured_mode_carries_all_attributes() -> None:
    found = structured(
        subject="order/1",
        time="2026-01-31T12:00:00.5+02:00",
        data={"n": 1},
        partitionkey="order-1",
        tenant="a",
        urgent=True,
    )
    assert (found.id, found.source, found.type, found.subject) == (
        "1", "/s", "com.acme.x", "order/1",
    )  # fmt: skip
    assert found.time.isoformat() == "2026-01-31T10:00:00.500000+00:00"
    assert json.loads(found.data) == {"n": 1}
    assert found.partition_key == "order-1"
    assert found.extensions == {"tenant": "a", "urgent": True}


def test_binary_mode_keeps_the_data_byte_for_byte() -> None:
    headers = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "subject": "a%20b"}
    [found] = read("application/json", headers, b'{"n": 123456789012345678901234567890}')
    assert found.data == b'{"n": 123456789012345678901234567890}'
    assert found.subject == "a b"


def test_a_batch_has_its_events_in_order() -> None:
    body = json.dumps([{**EVENT, "id": str(n)} for n in range(3)]).encode()
    assert [event.id for event in read(BATCHED, {}, body)] == ["0", "1", "2"]


def test_a_batch_has_at_most_500_events() -> None:
    with pytest.raises(Invalid) as caught:
        read(BATCHED, {}, json.dumps([EVENT] * 501).encode())
    assert caught.value.code == "batch_too_large"


def test_one_bad_event_names_its_place_in_the_batch() -> None:
    with pytest.raises(Invalid) as caught:
        read(BATCHED, {}, json.dumps([EVENT, {**EVENT, "id": ""}]).encode())
    assert caught.value.errors[0].field == "[1].id"


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"specversion": ...},
        {"id": ""},
        {"id": 5},
        {"id": ...},
        {"source": ""},
        {"type": ...},
        {"type": "a b"},
        {"type": "baas.db.document.created"},
        {"time": "yesterday"},
        {"time": "2026-01-31T12:00:00"},
        {"time": 5},
        {"time": "0001-01-01T00:00:00+14:00"},
        {"time": "9999-12-31T23:59:59-14:00"},
        {"time": "9999-01-01T00:00:00Z"},
        {"Tenant": "a"},
        {"a-b": "a"},
        {"tenant": {"a": 1}},
        {"tenant": 2**40},
        {"tenant": "x\0"},
        {"data": 1, "data_base64": "MQ=="},
        {"data_base64": "?"},
        {"subject": "x" * 2000},
    ],
)
def test_it_refuses_an_event_that_breaks_the_rules(change: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        structured(**change)


def test_publishers_cannot_say_how_deep_an_event_is() -> None:
    found = structured(depth=0, project="other")
    assert found.extensions == {}


def test_data_must_be_json() -> None:
    with pytest.raises(UnsupportedMediaType):
        structured(datacontenttype="text/xml", data="<a/>")
    with pytest.raises(UnsupportedMediaType):
        read("text/plain", {**EVENT}, b"hello")
    with pytest.raises(Malformed):
        read("application/json", {**EVENT}, b"{")
    assert structured(data_base64="eyJuIjoxfQ==").data == b'{"n":1}'


@given(
    content_type=st.sampled_from([STRUCTURED, BATCHED, "application/json", "text/plain", None]),
    headers=st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=4),
    body=st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from([*EVENT, "data", "time", "x"]), inner, max_size=6)
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_whatever_comes_in_is_an_event_or_a_problem(
    content_type: str | None, headers: dict[str, str], body: bytes
) -> None:
    try:
        events = read(content_type, headers, body)
    except (Malformed, Invalid, UnsupportedMediaType):
        return  # any other exception would be a fault of ours
    for event in events:
        json.loads(event.data)
