"""A function host that runs Python callables, and the pipeline stepped by hand."""

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from functions.runtypes import InspectResult, RunError, RunResult, RunSpec
from tests.installation import Client, TestProject

Handler = Callable[[Any, RunSpec], Any]


class FakeRunner:
    """Runs handlers by the function's name; what they raise is what a function raises.

    A handler may return a RunResult to say how its run ended.
    """

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.specs: list[RunSpec] = []
        self.inspected = InspectResult(outcome="ok")
        self.forgotten: list[str] = []

    def run(self, spec: RunSpec, load_package: Callable[[], bytes]) -> RunResult:
        self.specs.append(spec)
        try:
            value = self.handlers[spec.function](json.loads(spec.event), spec)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises
            return RunResult(
                outcome="error",
                error=RunError(type=type(error).__name__, message=str(error)),
                duration_ms=1.5,
                billed_ms=2,
            )
        if isinstance(value, RunResult):
            return value
        return RunResult(
            outcome="ok", result=json.dumps(value).encode(), duration_ms=1.5, billed_ms=2
        )

    def inspect(self, spec: RunSpec, package: bytes) -> InspectResult:
        return self.inspected

    def status(self) -> dict[str, Any]:
        return {"ready": True, "tier": "t1"}

    def forget(self, project: str) -> None:
        self.forgotten.append(project)


@pytest.fixture
def runner(installation: None, monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    from functions import hosting

    fake = FakeRunner()
    monkeypatch.setattr(hosting, "runner", lambda: fake)
    return fake


class Functions:
    """Deploys into one project."""

    def __init__(self, client: Client, project: TestProject, runner: FakeRunner) -> None:
        self.client, self.project, self.runner = client, project, runner

    def deploy(self, name: str, handler: Handler | None = None, **config: Any) -> dict[str, Any]:
        if handler is not None:
            self.runner.handlers[name] = handler
        body = {"code": {"inline": {"main.py": "def handler(event, context): ..."}}, **config}
        reply = self.client.put(
            f"{self.project.path}/functions/{name}", body, token=self.project.secret_key
        )
        assert reply.status == 201, reply
        deployed: dict[str, Any] = reply.json
        return deployed

    def trigger(self, name: str, function: str, source: dict[str, Any], **more: Any) -> None:
        reply = self.client.put(
            f"{self.project.path}/triggers/{name}",
            {"function": function, "source": source, **more},
            token=self.project.secret_key,
        )
        assert reply.status == 201, reply

    def publish(self, kind: str = "com.acme.test", data: Any = None, **more: Any) -> None:
        event = {
            "specversion": "1.0",
            "id": secrets.token_hex(8),
            "source": "/test",
            "type": kind,
            "data": data,
            **more,
        }
        reply = self.client.post(
            f"{self.project.path}/events",
            event,
            token=self.project.secret_key,
            headers={"Content-Type": "application/cloudevents+json"},
        )
        assert reply.status == 202, reply

    def deliveries(self, **query: str) -> list[dict[str, Any]]:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        reply = self.client.get(
            f"{self.project.path}/deliveries?{text}", token=self.project.secret_key
        )
        assert reply.status == 200, reply
        found: list[dict[str, Any]] = reply.json["items"]
        return found


@pytest.fixture
def functions(client: Client, project: TestProject, runner: FakeRunner) -> Functions:
    return Functions(client, project, runner)


class Pipeline:
    """The dispatcher and a worker in this thread; `sent` has the batches between them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from baas.kernel import db
        from functions.events import transport
        from functions.events.dispatcher import Dispatcher, ensure_reader

        ensure_reader()
        # What other tests left waiting is not this test's.
        db.execute(
            "UPDATE functions_delivery SET state = 'dead', reason = 'left by a test'"
            " WHERE state IN ('pending', 'running')"
        )
        self.dispatcher = Dispatcher()
        self.sent: list[Any] = []
        monkeypatch.setattr(transport, "send", self.sent.append)

    def dispatch(self) -> None:
        """Read the log to its end and lease what is due."""
        from functions.events import dispatcher, ledger

        while self.dispatcher.read_log():
            pass
        dispatcher._send(ledger.lease(total=100_000, per_project=100_000))

    def work(self) -> None:
        """Run every batch that was sent."""
        from functions.events import execution

        while self.sent:
            execution.run_batch(self.sent.pop(0))

    def step(self) -> None:
        self.dispatch()
        self.work()

    def hurry(self) -> None:
        """Let the time of waiting retries pass."""
        from baas.kernel import db

        db.execute("UPDATE functions_delivery SET due_at = now() WHERE state = 'pending'")

    def lose_workers(self) -> None:
        """Let the time of all leases pass."""
        from baas.kernel import db
        from functions.events import ledger

        self.sent.clear()
        db.execute(
            "UPDATE functions_delivery SET lease_until = now() - interval '1s'"
            " WHERE state = 'running'"
        )
        ledger.reclaim()


@pytest.fixture
def pipeline(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    return Pipeline(monkeypatch)


@pytest.fixture
def drift(installation: None) -> Iterator[Callable[[], float]]:
    """The drift metric; checked at the end of every test that asks for it."""
    from functions.events.metrics import Ledger

    def read() -> float:
        for family in Ledger().collect():
            if family.name == "baas_event_drift":
                return float(family.samples[0].value)
        raise AssertionError("no such metric")

    yield read
    assert read() == 0


@pytest.fixture
def make_functions(
    client: Client, make_project: Callable[[], TestProject], runner: FakeRunner
) -> Callable[[], Functions]:
    return lambda: Functions(client, make_project(), runner)


@pytest.fixture
def second_connection(installation: None) -> Iterator["psycopg.Connection[Any]"]:
    """Another client of the same database, in a transaction of its own."""
    from django.db import connection

    params = connection.get_connection_params()
    params = {k: v for k, v in params.items() if k not in ("cursor_factory", "context")}
    with psycopg.connect(**params) as other:
        yield other
        other.rollback()
