"""Whatever workers, brokers and operators do, in whatever order: the ledger's invariants hold."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from functions.runtypes import RunError, RunResult, RunSpec

from .conftest import Functions, Pipeline

MAX_ATTEMPTS = 2
WAYS = ["ok", "error", "crashed", "throttled", "lost"]


class World(RuleBasedStateMachine):
    """One trigger, its events, and messages that may come, come twice, late, or never."""

    make_functions: Callable[[], Functions]
    pipeline: Pipeline

    def __init__(self) -> None:
        super().__init__()
        self.functions = type(self).make_functions()
        self.functions.deploy("f", self.run_function)
        self.functions.trigger(
            "t",
            "f",
            {"type": "event", "event_type": "com.acme.*"},
            retry={"max_attempts": MAX_ATTEMPTS, "backoff_s": 0},
        )
        self.slow: list[Any] = []  # what slow workers have started
        self.ways: dict[str, str] = {}  # how the next run of an event ends
        self.starts: Counter[str] = Counter()  # since the (re)drive
        self.succeeded: Counter[str] = Counter()
        self.published = 0
        self.old_messages: list[Any] = []

    def run_function(self, event: Any, spec: RunSpec) -> Any:
        key = event["data"]
        way = self.ways.get(key, "ok")
        if way == "throttled":
            return RunResult(outcome="throttled", error=RunError(type="Throttled", message=""))
        assert spec.attempt == self.starts[spec.invocation_id] + 1
        self.starts[spec.invocation_id] += 1
        assert self.starts[spec.invocation_id] <= MAX_ATTEMPTS
        assert not self.succeeded[spec.invocation_id], "a succeeded pair ran again"
        if way == "ok":
            self.succeeded[spec.invocation_id] += 1
            return key
        if way == "lost":
            return RunResult(
                outcome="unavailable", error=RunError(type="ConnectionLost", message="")
            )
        return RunResult(outcome=way, error=RunError(type="E", message=way))  # type: ignore[arg-type]

    @rule(count=st.integers(1, 3), way=st.sampled_from(WAYS))
    def publish(self, count: int, way: str) -> None:
        for _ in range(count):
            self.published += 1
            key = f"{id(self)}-{self.published}"
            self.ways[key] = way
            self.functions.publish("com.acme.x", key)

    @rule(way=st.sampled_from(WAYS))
    def the_function_changes(self, way: str) -> None:
        self.ways = dict.fromkeys(self.ways, way)

    @rule()
    def dispatch(self) -> None:
        self.pipeline.hurry()
        self.pipeline.dispatch()

    @precondition(lambda self: self.pipeline.sent)
    @rule(keeps=st.booleans(), data=st.data())
    def a_worker_takes_a_batch(self, keeps: bool, data: st.DataObject) -> None:
        from functions.events import execution

        index = data.draw(st.integers(0, len(self.pipeline.sent) - 1))
        batch = self.pipeline.sent.pop(index)
        if keeps:
            self.old_messages.append(batch)
        execution.run_batch(batch)

    @precondition(lambda self: self.pipeline.sent)
    @rule(comes_back=st.booleans())
    def a_worker_starts_and_is_not_heard_of(self, comes_back: bool) -> None:
        from functions import calls
        from functions.events import ledger

        started = ledger.start(self.pipeline.sent.pop(0), calls.MAX_DEPTH)
        for item in started:
            if item.may_run:
                self.starts[item.lease.id] += 1
                assert self.starts[item.lease.id] <= MAX_ATTEMPTS
        if comes_back:
            self.slow += [item for item in started if item.may_run]
        else:
            self.pipeline.lose_workers()

    @precondition(lambda self: self.slow)
    @rule()
    def a_slow_worker_comes_back(self) -> None:
        from baas.kernel import db
        from functions.events import ledger

        item = self.slow.pop()
        row = db.fetch_one(
            "SELECT epoch, state FROM functions_delivery WHERE id = %s", (item.lease.id,)
        )
        settled = ledger.settle([ledger.Settlement(lease=item.lease, state="succeeded")], [])
        is_current = row == (item.lease.epoch, "running")
        assert settled == ({item.lease.id} if is_current else set())
        self.succeeded[item.lease.id] += is_current

    @precondition(lambda self: self.old_messages)
    @rule()
    def an_old_message_comes_again(self) -> None:
        from functions.events import execution

        execution.run_batch(self.old_messages.pop())

    @rule()
    def the_broker_is_flushed_and_the_leases_end(self) -> None:
        self.pipeline.lose_workers()

    @rule()
    def an_operator_redrives(self) -> None:
        from functions.events import deliveries

        dead = [item["id"] for item in self.functions.deliveries(state="dead", limit="1000")]
        for delivery_id in dead:
            self.starts[delivery_id] = 0
        project_id = self.functions.project.id
        assert deliveries.redrive(project_id, ids=dead, function=None) == len(dead)

    @precondition(lambda self: self.published)
    @rule()
    def an_operator_purges(self) -> None:
        from functions.events import deliveries

        deliveries.purge(self.functions.project.id, ids=None, function="f")

    @invariant()
    def the_books_balance(self) -> None:
        from functions.events.metrics import Ledger

        figures = {family.name: family.samples[0].value for family in Ledger().collect()}
        assert figures["baas_event_drift"] == 0

    @invariant()
    def what_succeeded_is_settled_once_and_stays(self) -> None:
        states = {item["id"]: item for item in self.functions.deliveries(limit="1000")}
        for delivery_id, times in self.succeeded.items():
            if times:
                assert times == 1
                assert states[delivery_id]["state"] == "succeeded"

    def teardown(self) -> None:
        """In the end every event has succeeded or died: none waits for ever."""
        self.ways = {}
        for _ in range(MAX_ATTEMPTS + 2):
            self.pipeline.lose_workers()
            self.pipeline.hurry()
            self.pipeline.step()
        states = {item["state"] for item in self.functions.deliveries(limit="1000")}
        assert states <= {"succeeded", "dead"}


@pytest.mark.usefixtures("drift")
def test_the_ledger_keeps_its_promises(
    make_functions: Callable[[], Functions], pipeline: Pipeline
) -> None:
    class Here(World):
        pass

    Here.make_functions = staticmethod(make_functions)
    Here.pipeline = pipeline
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=10,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
