from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from baas.kernel.problems import PreconditionFailed, RangeNotSatisfiable
from storage.conditions import http_date, is_not_modified, names_etag, requested_range

ETAG = "d41d8cd98f00b204e9800998ecf8427e"
MODIFIED = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)


def header(**fields: str) -> Callable[[str], str | None]:
    return lambda name: fields.get(name.replace("-", "_"))


def part(text: str, size: int) -> tuple[int, int] | None:
    return requested_range(header(Range=text), ETAG, MODIFIED, size)


@given(st.text(max_size=40), st.integers(0, 10**6))
@example("bytes=0-", 0)
@example("bytes=-0", 5)
@example("bytes=5-1", 10)
@example("bytes=" + "9" * 5000 + "-", 10)
@example("bytes=\u0661-\u0662", 10)  # digits, but not ASCII
def test_any_header_gives_a_part_inside_the_object_or_none(text: str, size: int) -> None:
    try:
        found = part(text, size)
    except RangeNotSatisfiable:
        return
    assert found is None or 0 <= found[0] < found[1] <= size


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(1, 1000))
def test_a_range_is_what_slicing_says(first: int, last: int, size: int) -> None:
    body = bytes(index % 251 for index in range(size))
    if first > last:
        assert part(f"bytes={first}-{last}", size) is None
    elif first >= size:
        with pytest.raises(RangeNotSatisfiable) as refused:
            part(f"bytes={first}-{last}", size)
        assert refused.value.headers == {"Content-Range": f"bytes */{size}"}
    else:
        found = part(f"bytes={first}-{last}", size)
        assert found is not None
        assert body[slice(*found)] == body[first : last + 1]


@given(st.integers(1, 2000), st.integers(1, 1000))
def test_a_suffix_is_the_last_bytes(count: int, size: int) -> None:
    assert part(f"bytes=-{count}", size) == (max(0, size - count), size)


@pytest.mark.parametrize(
    "text", ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "items=0-1", "0-1"]
)
def test_what_is_no_single_range_of_bytes_is_ignored(text: str) -> None:
    assert part(text, 10) is None


def test_a_range_whose_condition_does_not_hold_is_ignored() -> None:
    later = http_date(MODIFIED + timedelta(seconds=1))
    for condition, held in (
        (f'"{ETAG}"', True),
        (http_date(MODIFIED), True),
        ('"other"', False),
        (f'W/"{ETAG}"', False),
        (later, False),
        ("nonsense", False),
    ):
        fields = header(Range="bytes=0-0", If_Range=condition)
        assert (requested_range(fields, ETAG, MODIFIED, 5) is not None) == held, condition


def test_etags_are_compared_as_the_header_asks() -> None:
    assert names_etag("*", ETAG, weak=False)
    assert names_etag(f'"x", "{ETAG}"', ETAG, weak=False)
    assert names_etag(f'W/"{ETAG}"', ETAG, weak=True)
    assert not names_etag(f'W/"{ETAG}"', ETAG, weak=False)
    assert not names_etag('"x"', ETAG, weak=True)


def test_if_none_match_wins_over_if_modified_since() -> None:
    fields = header(If_None_Match='"other"', If_Modified_Since=http_date(MODIFIED))
    assert not is_not_modified(fields, ETAG, MODIFIED)
    assert is_not_modified(header(If_Modified_Since=http_date(MODIFIED)), ETAG, MODIFIED)


def test_if_unmodified_since_refuses_what_changed() -> None:
    earlier = header(If_Unmodified_Since=http_date(MODIFIED - timedelta(seconds=1)))
    with pytest.raises(PreconditionFailed):
        is_not_modified(earlier, ETAG, MODIFIED)
    same = header(If_Unmodified_Since=http_date(MODIFIED))
    assert not is_not_modified(same, ETAG, MODIFIED)


@given(st.text(max_size=60))
@example("Sun, 31 Feb 2026 25:61:00 GMT")
@example("1 Jan 0000 00:00:00 +9999")
@example("Thu, 01 Jan 99999 00:00:00 GMT")
def test_no_date_breaks_it(text: str) -> None:
    fields = header(If_Modified_Since=text, If_Range=text, Range="bytes=0-0")
    assert is_not_modified(fields, ETAG, MODIFIED) in (True, False)
    requested_range(fields, ETAG, MODIFIED, 5)
