"""The window against the obvious model: sort everything, cut off, compare."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from realtime.window import Change, Entry, Window, diff

IDS = [f"d{n}" for n in range(8)]


def entry(id_: str, place: int, version: int) -> Entry:
    return Entry(key=(place, id_), id=id_, stamp=(version,), json=f'{{"v":{version}}}')


def ordered(documents: dict[str, Entry]) -> list[Entry]:
    return sorted(documents.values(), key=lambda e: e.key)


def apply(shown: list[Entry], changes: list[Change]) -> list[Entry]:
    """What a client does with a change frame."""
    work = list(shown)
    for change in changes:
        if change.old_index >= 0:
            assert work[change.old_index].id == change.id
            del work[change.old_index]
        else:
            assert change.op == "added"
        if change.new_index >= 0:
            assert change.entry is not None
            work.insert(change.new_index, change.entry)
        else:
            assert change.op == "removed"
    return work


# Each write puts a document somewhere in the order, or deletes it (None).
writes = st.lists(
    st.tuples(st.sampled_from(IDS), st.one_of(st.none(), st.integers(0, 5))), max_size=40
)


@given(writes, writes, st.integers(1, 4), st.integers(0, 2), st.data())
def test_changes_lead_from_each_window_to_the_next(
    first: list[tuple[str, int | None]],
    then: list[tuple[str, int | None]],
    limit: int,
    margin: int,
    data: st.DataObject,
) -> None:
    documents: dict[str, Entry] = {}
    version = 0
    for id_, place in first:
        version += 1
        _write(documents, id_, place, version)
    window = _load(documents, limit, margin)
    shown = ordered(documents)[:limit]
    for id_, place in then:
        version += 1
        _write(documents, id_, place, version)
        window.put(id_, documents.get(id_))
        if window.is_short:
            changes = window.take_changes()
            partly = apply(shown, changes)
            window = _load(documents, limit, margin)
            shown = apply(partly, diff(partly, window.visible))
        elif data.draw(st.booleans()):  # several writes may share a frame
            shown = apply(shown, window.take_changes())
            assert shown == window.visible
        assert window.visible == ordered(documents)[:limit]
    assert apply(shown, window.take_changes()) == ordered(documents)[:limit]


@given(writes, writes, st.integers(1, 6))
def test_diff_leads_from_any_window_to_any_other(
    first: list[tuple[str, int | None]], then: list[tuple[str, int | None]], limit: int
) -> None:
    documents: dict[str, Entry] = {}
    for version, (id_, place) in enumerate(first):
        _write(documents, id_, place, version)
    old = ordered(documents)[:limit]
    for version, (id_, place) in enumerate(then, start=100):
        _write(documents, id_, place, version)
    new = ordered(documents)[:limit]
    changes = diff(old, new)
    assert apply(old, changes) == new
    assert len(changes) == len({change.id for change in changes})
    unchanged = {e.id for e in old} & {e.id for e in new if e in old}
    assert not unchanged & {change.id for change in changes}


def _write(documents: dict[str, Entry], id_: str, place: int | None, version: int) -> None:
    if place is None:
        documents.pop(id_, None)
    else:
        documents[id_] = entry(id_, place, version)


def _load(documents: dict[str, Entry], limit: int, margin: int) -> Window:
    everything = ordered(documents)
    size = limit + margin
    return Window(limit, margin, everything[:size], has_more=len(everything) > size)


def window_of(*places: int, limit: int, margin: int = 0, more: bool = False) -> Window:
    entries = [entry(f"d{n}", place, 1) for n, place in enumerate(places)]
    return Window(limit, margin, entries, has_more=more)


def ops(window: Window) -> list[tuple[Any, ...]]:
    return [(c.op, c.id, c.old_index, c.new_index) for c in window.take_changes()]


def test_a_modified_document_says_where_it_was_and_where_it_is() -> None:
    window = window_of(1, 2, 3, limit=10)
    window.put("d0", entry("d0", 9, 2))
    assert ops(window) == [("modified", "d0", 0, 2)]


def test_the_next_document_moves_up_when_one_leaves() -> None:
    window = window_of(1, 2, 3, limit=2, margin=1)
    window.put("d0", None)
    assert ops(window) == [("removed", "d0", 0, -1), ("added", "d2", -1, 1)]


def test_the_last_document_is_pushed_out_when_one_comes() -> None:
    window = window_of(1, 3, limit=2, margin=1)
    window.put("d5", entry("d5", 2, 1))
    assert ops(window) == [("removed", "d1", 1, -1), ("added", "d5", -1, 1)]


def test_it_is_short_when_an_unknown_document_belongs_into_it() -> None:
    window = window_of(1, 2, limit=2, more=True)
    assert not window.is_short
    window.put("d0", None)
    assert window.is_short


def test_the_same_write_twice_is_no_change() -> None:
    window = window_of(1, 2, limit=2)
    window.put("d0", entry("d0", 1, 1))
    assert ops(window) == []


def test_a_document_made_again_with_the_same_version_is_modified() -> None:
    old = [Entry(key=(1, "a"), id="a", stamp=(1, "monday"), json="1")]
    new = [Entry(key=(1, "a"), id="a", stamp=(1, "tuesday"), json="2")]
    assert [c.op for c in diff(old, new)] == ["modified"]
