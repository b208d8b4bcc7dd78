"""The events log and its commit-order gate, with real connections."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import connection, transaction

from baas.kernel import context, db, events
from baas.kernel.events import Event, Position
from tests.installation import TestProject

Connect = Callable[[], psycopg.Connection]


@pytest.fixture
def connect(installation: None) -> Iterator[Connect]:
    """Makes further connections to the tests' database, as other processes have them."""
    opened: list[psycopg.Connection] = []

    def make() -> psycopg.Connection:
        params = connection.get_connection_params()
        params = {k: v for k, v in params.items() if k not in ("cursor_factory", "context")}
        opened.append(psycopg.connect(**params))
        return opened[-1]

    yield make
    for found in opened:
        found.close()


def _event(project: TestProject, name: str) -> Event:
    return Event(
        type="com.acme.test", project_id=project.id, source="/test", subject=name, data={"n": name}
    )


def _insert(other: psycopg.Connection, project: TestProject, name: str) -> None:
    other.execute(
        "INSERT INTO kernel_event (project_id, type, source, subject, data, traceparent)"
        " VALUES (%s, 'com.acme.test', '/test', %s, '{}', '')",
        (project.id, name),
    )


def _read(project: TestProject, after: Position) -> tuple[list[str], Position]:
    """The subjects of the project's events behind the gate, and where the reader then stands."""
    found: list[str] = []
    while batch := events.read(after, limit=2):
        after = batch[-1].position
        found += [event.subject for event in batch if event.project_id == project.id]
    return found, after


def test_a_transaction_that_commits_late_is_not_lost(
    project: TestProject, connect: Connect
) -> None:
    position = events.head()
    late = connect()
    _insert(late, project, "early number, late commit")
    events.emit(_event(project, "late number, early commit"))
    # A reader that went by sequence numbers would now see the second, and never the first.
    found, position = _read(project, position)
    assert found == []
    late.commit()
    found, position = _read(project, position)
    assert found == ["early number, late commit", "late number, early commit"]
    assert _read(project, position)[0] == []


def test_a_reader_neither_skips_nor_repeats_whatever_the_order_of_commits(
    project: TestProject, connect: Connect
) -> None:
    position = events.head()
    writers = [connect() for _ in range(4)]
    seen: list[str] = []
    # Each round: all insert in one order, commit in another, and the reader looks in between.
    for number, order in enumerate(([3, 1, 0, 2], [0, 1, 2, 3], [2, 3, 1, 0])):
        for index, writer in enumerate(writers):
            _insert(writer, project, f"{number}-{index}")
        for index in order:
            writers[index].commit()
            found, position = _read(project, position)
            seen += found
    assert sorted(seen) == sorted(f"{n}-{i}" for n in range(3) for i in range(4))


def test_a_rolled_back_event_never_was(project: TestProject, connect: Connect) -> None:
    position = events.head()
    other = connect()
    _insert(other, project, "never")
    other.rollback()
    events.emit(_event(project, "was"))
    assert _read(project, position)[0] == ["was"]


def test_an_event_is_part_of_its_writers_transaction(project: TestProject) -> None:
    position = events.head()
    with transaction.atomic():
        events.emit(_event(project, "never"))
        transaction.set_rollback(True)
    with transaction.atomic():
        events.emit(_event(project, "was"))
    assert _read(project, position)[0] == ["was"]


def test_a_reader_that_starts_now_sees_what_comes_and_nothing_before(project: TestProject) -> None:
    events.emit(_event(project, "before"))
    position = events.head()
    events.emit(_event(project, "after"))
    assert _read(project, position)[0] == ["after"]


def test_an_event_carries_where_it_comes_from(project: TestProject) -> None:
    position = events.head()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with context.use(context.Context(depth=3, traceparent=trace)):
        events.emit(_event(project, "one"))
    found = next(event for event in events.read(position) if event.project_id == project.id)
    shown = found.as_cloudevent(project.slug)
    assert (shown["depth"], shown["traceparent"]) == (3, trace)
    assert (shown["specversion"], shown["project"]) == ("1.0", project.slug)
    assert (shown["data"], shown["subject"]) == ({"n": "one"}, "one")
    assert shown["id"] == str(found.position.seq)
    assert shown["time"].endswith("Z")


def test_positions_come_back_from_their_text() -> None:
    position = Position(2**40, 17)
    assert Position.decode(position.encode()) == position
    for text in ("", "1", "a.b", "1.", "1.2.3"):
        with pytest.raises(ValueError, match="invalid literal"):
            Position.decode(text)


def test_old_partitions_go_once_every_reader_has_passed(
    installation: None, settings: pytest.FixtureRequest
) -> None:
    from baas.kernel.events import retention

    db.execute(
        "CREATE TABLE kernel_event_d20200101 PARTITION OF kernel_event"
        " FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')"
    )
    db.execute(
        "INSERT INTO kernel_event (project_id, type, source, subject, data, traceparent, time)"
        " VALUES (0, 't', 's', 's', '{}', '', '2020-01-01 12:00Z')"
    )
    # Other tests' readers, which nobody moves any more.
    others = db.fetch_all("DELETE FROM kernel_eventreader RETURNING name, xid::text, seq")
    db.execute("INSERT INTO kernel_eventreader (name, xid, seq) VALUES ('slow', '1', 0)")
    try:
        retention.maintain()
        assert db.fetch_one("SELECT to_regclass('kernel_event_d20200101')") != (None,)
    finally:
        db.execute("DELETE FROM kernel_eventreader WHERE name = 'slow'")
    retention.maintain()
    assert db.fetch_one("SELECT to_regclass('kernel_event_d20200101')") == (None,)
    retention.maintain()  # safe to repeat
    for reader in others:
        db.execute("INSERT INTO kernel_eventreader VALUES (%s, %s::text::xid8, %s)", reader)
