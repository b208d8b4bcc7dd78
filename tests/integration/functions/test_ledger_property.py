"""Whatever workers, brokers and operators do, in whatever order: the ledger's invariants hold."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from functions.runtypes import RunError, RunResult, RunSpec

from .conftest import Functions, Pipeline

MAX_ATTEMPTS = 3
WAYS = ["ok", "error", "crashed", "throttled", "lost"]


class World(RuleBasedStateMachine):
    """One trigger, its events, and messages that may come, come twice, late, or never."""

    functions: Functions
    pipeline: Pipeline

    def __init__(self) -> None:
        super().__init__()
        self.ways: dict[str, str] = {}  # how the next run of an event ends
        self.starts: Counter[str] = Counter()  # since the (re)drive
        self.succeeded: Counter[str] = Counter()
        self.published = 0
        self.old_messages: list[Any] = []
        self.functions.runner.handlers["f"] = self.run_function

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
    @rule()
    def a_worker_dies_with_a_batch(self) -> None:
        from functions import calls
        from functions.events import ledger

        for item in ledger.start(self.pipeline.sent.pop(0), calls.MAX_DEPTH):
            if item.may_run:
                self.starts[item.lease.id] += 1

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
        self.old_messages.clear()
        for _ in range(MAX_ATTEMPTS + 2):
            self.pipeline.lose_workers()
            self.pipeline.hurry()
            self.pipeline.step()
        states = {item["state"] for item in self.functions.deliveries(limit="1000")}
        assert states <= {"succeeded", "dead"}


@pytest.mark.usefixtures("drift")
def test_the_ledger_keeps_its_promises(functions: Functions, pipeline: Pipeline) -> None:
    functions.deploy("f", lambda event, spec: None)
    functions.trigger(
        "t",
        "f",
        {"type": "event", "event_type": "com.acme.*"},
        retry={"max_attempts": MAX_ATTEMPTS, "backoff_s": 0},
    )

    class Here(World):
        pass

    Here.functions, Here.pipeline = functions, pipeline
    Here.TestCase.settings = settings(
        max_examples=15,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    Here.TestCase("runTest").debug()
