"""Whatever happens: what a client has pieced together is what the database says."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction

from tests.integration.realtime.conftest import Connect, Notes, Server, Socket

WRITERS = 3
WATCHERS = 6
SECONDS = 6.0
IDS = [f"d{n:02}" for n in range(40)]
QUERIES: list[dict[str, Any]] = [
    {},
    {"limit": 5, "sort": ["-n"]},
    {"limit": 3, "sort": ["n", "-_id"]},
    {"filter": {"n": {"$gte": 50}}, "sort": ["-_updatedAt"]},
    {"filter": {"tags": "a"}, "limit": 10},
    {"filter": {"$or": [{"n": {"$lt": 20}}, {"tags": {"$exists": False}}]}},
]


class Watcher:
    """A client that keeps the list as the frames tell it, and comes back when it is cut off."""

    def __init__(self, connect: Callable[[], Socket], query: dict[str, Any], seed: int) -> None:
        self.connect = connect
        self.query = query
        self.shown: list[dict[str, Any]] = []
        self.token: str | None = None
        self.resumed = self.resets = 0
        self._random = random.Random(seed)
        self._socket: Socket | None = None

    def run(self, until: float) -> None:
        while time.monotonic() < until:
            self._open()
            stop = min(until, time.monotonic() + self._random.uniform(0.05, 1.5))
            while (left := stop - time.monotonic()) > 0:
                self._step(left)
            self._cut()

    def settle(self, truth: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> None:
        """Come back once more, and read until it is what the database says."""
        self._open()
        deadline = time.monotonic() + 20
        while self.shown != truth(self.query):
            assert time.monotonic() < deadline, (self.query, self.shown, truth(self.query))
            self._step(1.0)

    def _open(self) -> None:
        self._socket = socket = self.connect()
        frame = dict(self.query)
        if self.token is not None and self._random.random() < 0.8:
            frame["since"] = self.token
        else:
            self.shown = []
        socket.subscribe(**frame)

    def _cut(self) -> None:
        assert self._socket is not None
        self._socket.ws.socket.close() if self._random.random() < 0.3 else self._socket.ws.close()

    def _step(self, timeout_s: float) -> bool:
        assert self._socket is not None
        try:
            frame = self._socket.receive(timeout_s)
        except TimeoutError:
            return False
        match frame["type"]:
            case "reset":
                self.resets += 1
                return True
            case "snapshot":
                self.shown = frame["docs"]
            case "change":
                self.resumed += 1
                for change in frame["changes"]:
                    if change["old_index"] >= 0:
                        assert self.shown.pop(change["old_index"])["_id"] == change["id"]
                    if change["new_index"] >= 0:
                        self.shown.insert(change["new_index"], change["doc"])
        self.token = frame["token"]
        return True


def test_many_writers_and_clients_that_come_and_go(
    open_socket: Connect, notes: Notes, url: str
) -> None:
    until = time.monotonic() + SECONDS
    watchers = [Watcher(open_socket, QUERIES[n % len(QUERIES)], n) for n in range(WATCHERS)]
    failures: list[Exception] = []

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - shown at the end of the test
                failures.append(error)
            finally:
                connection.close()

        return run

    threads = [
        threading.Thread(target=guarded(lambda n=n: _write(notes, n, until)))
        for n in range(WRITERS)
    ]
    threads.append(threading.Thread(target=guarded(lambda: _commit_late(notes, until))))
    threads += [
        threading.Thread(target=guarded(lambda w=watcher: w.run(until))) for watcher in watchers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures, failures
    for watcher in watchers:
        watcher.settle(lambda query: _truth(notes, query))
    assert sum(watcher.resumed for watcher in watchers) > 50


def _write(notes: Notes, seed: int, until: float) -> None:
    """Random writes through the door, as fast as it answers."""
    rng = random.Random(seed)
    path = f"{notes.project.path}/db/notes/docs"
    while time.monotonic() < until:
        id, fields = rng.choice(IDS), _fields(rng)
        match rng.random():
            case dice if dice < 0.5:
                reply = notes.client.put(f"{path}/{id}", fields, token=notes.token)
            case dice if dice < 0.8:
                reply = notes.client.patch(f"{path}/{id}", fields, token=notes.token)
            case _:
                reply = notes.client.delete(f"{path}/{id}", token=notes.token)
        assert reply.status in (200, 201, 204, 404, 409), reply
        time.sleep(rng.uniform(0, 0.01))


def _fields(rng: random.Random) -> dict[str, Any]:
    fields: dict[str, Any] = {"n": rng.randrange(100)}
    if rng.random() < 0.6:
        fields["tags"] = rng.sample(["a", "b", "c"], 2)
    return fields


def _commit_late(notes: Notes, until: float) -> None:
    """Transactions that draw their numbers early and commit late: the log's hard case."""
    from baas.kernel.principals import Principal
    from baas.kernel.projects import by_slug
    from documents import service
    from documents.access import Caller

    rng = random.Random("late")
    caller = Caller(by_slug(notes.project.slug), Principal(kind="key", key_id="test"))
    number = 0
    while time.monotonic() < until:
        with transaction.atomic():
            for _ in range(rng.randrange(1, 4)):
                number += 1
                service.create(caller, "notes", {"_id": f"late{number}", **_fields(rng)})
                time.sleep(rng.uniform(0, 0.1))
            if rng.random() < 0.3:
                transaction.set_rollback(True)


def _truth(notes: Notes, query: dict[str, Any]) -> list[dict[str, Any]]:
    body = {"limit": 1000, **query}
    reply = notes.client.post(f"{notes.project.path}/db/notes/query", body, token=notes.token)
    assert reply.status == 200, reply
    items: list[dict[str, Any]] = reply.json["items"]
    return items


def test_lost_hints_cost_half_a_second_and_nothing_else(
    open_socket: Connect, notes: Notes, own_server: Server
) -> None:
    """Redis is away for this process: it never hears that something was written."""
    own_server.start(BAAS_REDIS_URL="unix:///nowhere/redis.sock")
    socket = open_socket(to=f"ws://127.0.0.1:{own_server.port}{notes.project.path}/realtime")
    socket.watch()
    for n in range(5):
        began = time.monotonic()
        notes.create(f"d{n}")
        assert [change["id"] for change in socket.changes()] == [f"d{n}"]
        assert time.monotonic() - began < 1.0


def test_flushing_redis_loses_nothing(open_socket: Connect, notes: Notes, redis_url: str) -> None:
    import redis

    socket = open_socket()
    socket.watch()
    with redis.Redis.from_url(redis_url) as client:
        for n in range(5):
            client.flushall()
            began = time.monotonic()
            notes.create(f"d{n}")
            client.flushall()
            assert [change["id"] for change in socket.changes()] == [f"d{n}"]
            assert time.monotonic() - began < 1.0


def test_a_lost_database_connection_loses_nothing(
    open_socket: Connect, notes: Notes, own_server: Server
) -> None:
    own_server.start()
    socket = open_socket(to=f"ws://127.0.0.1:{own_server.port}{notes.project.path}/realtime")
    socket.watch()
    notes.create("a")
    socket.changes()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    notes.create("b")
    assert [change["id"] for change in socket.changes()] == ["b"]
    other = open_socket(to=f"ws://127.0.0.1:{own_server.port}{notes.project.path}/realtime")
    assert len(other.watch()) == 2


def test_hundreds_of_sockets_get_every_change(open_socket: Connect, notes: Notes) -> None:
    sockets = [open_socket() for _ in range(200)]
    for socket in sockets:
        assert socket.watch() == []
    for n in range(10):
        notes.create(f"d{n}")
    for socket in sockets:
        seen: list[str] = []
        while len(seen) < 10:
            seen += [change["id"] for change in socket.changes()]
        assert seen == [f"d{n}" for n in range(10)]
