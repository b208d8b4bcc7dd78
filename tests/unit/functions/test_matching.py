from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.rules import RuleError
from baas.kernel.events import Position, StoredEvent
from functions.events.filters import compile_filter
from functions.events.matching import compile_source, hears_functions


def event(kind: str, subject: str, data: str = "{}", **more: Any) -> StoredEvent:
    return StoredEvent(
        position=Position(1, 1),
        project_id=1,
        type=kind,
        source="/s",
        subject=subject,
        time=datetime(2026, 1, 1, tzinfo=UTC),
        data=data,
        depth=0,
        traceparent="",
        **more,
    )


CREATED = "baas.db.document.created"
UPLOADED = "baas.storage.object.created"


@pytest.mark.parametrize(
    ("source", "kind", "subject", "expected"),
    [
        ({"collection": "c", "operations": ["create"]}, CREATED, "c/1", True),
        ({"collection": "c", "operations": ["update"]}, CREATED, "c/1", False),
        ({"collection": "c", "operations": ["create"]}, CREATED, "cc/1", False),
        ({"collection": "*", "operations": ["create"]}, CREATED, "cc/1", True),
        ({"collection": "c", "operations": ["create"]}, UPLOADED, "c/1", False),
    ],
)
def test_a_db_source_matches_collection_and_operation(
    source: dict[str, Any], kind: str, subject: str, expected: bool
) -> None:
    assert compile_source({"type": "db", **source})(event(kind, subject)) is expected


@pytest.mark.parametrize(
    ("prefix", "suffix", "subject", "expected"),
    [
        ("", "", "photos/a.jpg", True),
        ("", "", "photos2/a.jpg", False),
        ("raw/", ".jpg", "photos/raw/a.jpg", True),
        ("raw/", ".jpg", "photos/raw/a.png", False),
        ("raw/", ".jpg", "photos/x/raw/a.jpg", False),
        ("ab", "bc", "photos/abc", False),  # they must not overlap
        ("ab", "bc", "photos/abbc", True),
    ],
)
def test_a_storage_source_matches_prefix_and_suffix_of_the_path(
    prefix: str, suffix: str, subject: str, expected: bool
) -> None:
    source = {"type": "storage", "bucket": "photos", "prefix": prefix, "suffix": suffix}
    matches = compile_source({**source, "operations": ["create"]})
    assert matches(event(UPLOADED, subject)) is expected


@pytest.mark.parametrize("bucket", ["photos", "*"])
@given(
    path=st.text("abc/.", min_size=1, max_size=8),
    prefix=st.text("abc/.", max_size=4),
    suffix=st.text("abc/.", max_size=4),
)
def test_prefix_and_suffix_mean_the_same_in_any_bucket(
    bucket: str, path: str, prefix: str, suffix: str
) -> None:
    source = {"type": "storage", "bucket": bucket, "prefix": prefix, "suffix": suffix}
    matches = compile_source({**source, "operations": ["create"]})
    whole = len(path) >= len(prefix) + len(suffix)
    expected = path.startswith(prefix) and path.endswith(suffix) and whole
    assert matches(event(UPLOADED, f"photos/{path}")) is expected


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("sign_up", "baas.auth.user.created"),
        ("sign_in", "baas.auth.user.signed_in"),
        ("delete", "baas.auth.user.deleted"),
    ],
)
def test_an_auth_source_matches_its_operations(operation: str, kind: str) -> None:
    matches = compile_source({"type": "auth", "operations": [operation]})
    assert matches(event(kind, "u"))
    assert not matches(event("baas.auth.user.other", "u"))


def test_an_event_source_matches_exactly_or_by_its_beginning() -> None:
    exact = compile_source({"type": "event", "event_type": "com.acme.paid"})
    begins = compile_source({"type": "event", "event_type": "com.acme.*"})
    assert exact(event("com.acme.paid", ""))
    assert not exact(event("com.acme.paid.twice", ""))
    assert begins(event("com.acme.paid", ""))
    assert not begins(event("com.acmeX", ""))


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        ("baas.function.*", True),
        ("baas.function.failed", True),
        ("*", True),
        ("baas.func*", True),
        ("baas.db.*", False),
        ("com.acme.*", False),
    ],
)
def test_who_hears_the_ends_of_functions(pattern: str, heard: bool) -> None:
    assert hears_functions({"type": "event", "event_type": pattern}) is heard


def test_a_filter_reads_the_cloudevent() -> None:
    passes = compile_filter(
        'event.data.items.exists(i, i.price > 10) && event.subject.startsWith("order/")'
        " && event.tenant == 'a'"
    )
    rich = '{"items":[{"price":5},{"price":50}]}'
    assert passes(event("t", "order/1", rich, extensions={"tenant": "a"}))
    assert not passes(event("t", "order/1", rich, extensions={"tenant": "b"}))
    assert not passes(event("t", "order/1", rich))  # no tenant: an error, so not this one
    assert not passes(event("t", "order/1", '{"items":[{"price":5}]}', extensions={"tenant": "a"}))


@pytest.mark.parametrize(
    "text", ["event.data.", "doc.x == 1", "auth.uid == 'x'", "get('c', 'x') != null", "now > now"]
)
def test_a_filter_reads_nothing_but_the_event(text: str) -> None:
    with pytest.raises(RuleError):
        compile_filter(text)
