"""From an event in the log to a function that ran: the ledger's promises, on a real database."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from functions.runtypes import RunError, RunResult, RunSpec
from tests.installation import Client, TestProject

from .conftest import FakeRunner, Functions, Pipeline

pytestmark = pytest.mark.usefixtures("drift")

CUSTOM = {"type": "event", "event_type": "com.acme.*"}


def fail(event: Any, spec: RunSpec) -> None:
    raise ValueError("never works")


@pytest.fixture
def seen() -> list[Any]:
    return []


@pytest.fixture
def listen(functions: Functions, seen: list[Any]) -> Functions:
    """A function that remembers its events, and a trigger for `com.acme.*`."""
    functions.deploy("listen", lambda event, spec: seen.append(event["data"]))
    functions.trigger("on-custom", "listen", CUSTOM)
    return functions


def test_an_event_runs_the_function_that_a_trigger_names(
    functions: Functions, pipeline: Pipeline
) -> None:
    events: list[Any] = []
    functions.deploy("listen", lambda event, spec: events.append(event))
    functions.trigger("on-order", "listen", CUSTOM)
    functions.publish("com.acme.order", {"n": 1}, subject="order/1")
    pipeline.step()
    [event] = events
    assert event["data"] == {"n": 1}
    assert (event["specversion"], event["subject"]) == ("1.0", "order/1")
    assert (event["project"], event["depth"]) == (functions.project.slug, 0)
    [delivery] = functions.deliveries()
    assert (delivery["state"], delivery["attempts"]) == ("succeeded", 1)
    assert delivery["event"]["data"] == {"n": 1}


def test_a_document_keeps_its_exact_numbers_on_the_way_to_the_function(
    functions: Functions, pipeline: Pipeline, runner: FakeRunner, client: Client
) -> None:
    project = functions.project
    client.put(f"{project.path}/collections/big", {}, token=project.secret_key)
    functions.deploy("listen", lambda event, spec: None)
    functions.trigger("on-big", "listen", {"type": "db", "collection": "big"})
    client.request(
        "POST",
        f"{project.path}/db/big/docs",
        body=b'{"n": 123456789012345678901234567890}',
        token=project.secret_key,
    )
    pipeline.step()
    assert b"123456789012345678901234567890" in runner.specs[-1].event


def test_events_without_a_trigger_are_read_and_left_alone(
    functions: Functions, pipeline: Pipeline
) -> None:
    functions.publish()
    pipeline.step()
    assert functions.deliveries() == []
    assert pipeline.dispatcher.read_log() == 0


def test_a_transaction_that_commits_late_is_not_missed(
    listen: Functions, pipeline: Pipeline, seen: list[Any], second_connection: psycopg.Connection
) -> None:
    late = second_connection
    late.execute(
        "INSERT INTO kernel_event (project_id, type, source, subject, data, traceparent)"
        " VALUES (%s, 'com.acme.late', '/t', '', '\"late\"', %s)",
        (listen.project.id, "00-" + "1" * 32 + "-" + "1" * 16 + "-00"),
    )
    listen.publish("com.acme.early", "early")  # has a later number, commits first
    pipeline.step()
    late.commit()
    pipeline.step()
    assert sorted(seen) == ["early", "late"]


def test_a_position_that_went_back_makes_no_second_delivery(
    listen: Functions, pipeline: Pipeline, seen: list[Any]
) -> None:
    from baas.kernel import db

    listen.publish("com.acme.once", 1)
    pipeline.step()
    db.execute("UPDATE kernel_eventreader SET xid = '0', seq = 0 WHERE name = 'dispatcher'")
    pipeline.step()
    assert seen == [1]
    assert len(listen.deliveries()) == 1


def test_a_batch_that_a_worker_took_to_its_grave_runs_again(
    listen: Functions, pipeline: Pipeline, seen: list[Any]
) -> None:
    from functions import calls
    from functions.events import ledger

    listen.publish("com.acme.x", 1)
    pipeline.dispatch()
    assert ledger.start(pipeline.sent[0], calls.MAX_DEPTH)  # … and the worker dies here
    pipeline.lose_workers()
    pipeline.step()
    assert seen == [1]
    [delivery] = listen.deliveries()
    assert (delivery["state"], delivery["attempts"]) == ("succeeded", 2)
    assert delivery["errors"][0]["type"] == "WorkerLost"


def test_a_function_that_takes_its_workers_along_dies_by_its_budget(
    functions: Functions, pipeline: Pipeline, runner: FakeRunner
) -> None:
    from functions import calls
    from functions.events import ledger

    functions.deploy("killer", lambda event, spec: None)
    functions.trigger("t", "killer", CUSTOM, retry={"max_attempts": 2})
    functions.publish("com.acme.x")
    for _ in range(2):
        pipeline.dispatch()
        assert ledger.start(pipeline.sent[0], calls.MAX_DEPTH)[0].may_run
        pipeline.lose_workers()
    pipeline.step()
    assert runner.specs == []
    [delivery] = functions.deliveries()
    assert (delivery["state"], delivery["attempts"]) == ("dead", 2)
    assert delivery["reason"] == "attempts_exhausted"


def test_a_message_that_the_broker_lost_costs_no_attempt(
    listen: Functions, pipeline: Pipeline, seen: list[Any]
) -> None:
    listen.publish("com.acme.x", 1)
    pipeline.dispatch()
    pipeline.lose_workers()
    pipeline.step()
    assert seen == [1]
    [delivery] = listen.deliveries()
    assert (delivery["attempts"], delivery["errors"]) == (1, [])


def test_a_message_that_comes_twice_runs_once(
    listen: Functions, pipeline: Pipeline, seen: list[Any]
) -> None:
    listen.publish("com.acme.x", 1)
    pipeline.dispatch()
    pipeline.sent += list(pipeline.sent)
    pipeline.work()
    assert seen == [1]


def test_only_the_current_lease_settles(functions: Functions, pipeline: Pipeline) -> None:
    """The first worker is so slow that its lease ends; a second one fails; the first comes back."""
    from functions.events import execution

    first_runs, first_may_end = threading.Event(), threading.Event()
    calls: list[int] = []

    def slow_then_failing(event: Any, spec: RunSpec) -> str:
        calls.append(spec.attempt)
        if spec.attempt == 1:
            first_runs.set()
            assert first_may_end.wait(20)
            return "too late"
        raise ValueError("second")

    functions.deploy("slow", slow_then_failing)
    functions.trigger("t", "slow", CUSTOM, retry={"max_attempts": 2, "backoff_s": 0})
    functions.publish("com.acme.x")
    pipeline.dispatch()
    first = threading.Thread(target=in_thread(execution.run_batch), args=(pipeline.sent.pop(),))
    first.start()
    assert first_runs.wait(20)
    pipeline.lose_workers()
    pipeline.step()
    first_may_end.set()
    first.join(20)
    [delivery] = functions.deliveries()
    assert (delivery["state"], delivery["reason"]) == ("dead", "attempts_exhausted")
    assert calls == [1, 2]


def test_two_workers_share_the_work_without_doing_any_twice(
    functions: Functions, pipeline: Pipeline
) -> None:
    from functions.events import execution

    lock, done = threading.Lock(), list[int]()

    def note(event: Any, spec: RunSpec) -> None:
        with lock:
            done.append(event["data"])

    functions.deploy("listen", note)
    functions.trigger("t", "listen", CUSTOM)
    for number in range(60):
        functions.publish("com.acme.x", number)
    pipeline.dispatch()
    batches = list(pipeline.sent)

    @in_thread
    def work() -> None:
        for batch in batches:  # every batch reaches both
            execution.run_batch(batch)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sorted(done) == list(range(60))
    states = {item["state"] for item in functions.deliveries(limit="100")}
    assert states == {"succeeded"}


def test_a_failing_function_is_tried_again_later_and_then_dies_with_its_event(
    functions: Functions, pipeline: Pipeline, runner: FakeRunner
) -> None:
    functions.deploy("broken", fail)
    functions.trigger("t", "broken", CUSTOM, retry={"max_attempts": 3, "backoff_s": 60})
    functions.publish("com.acme.x", {"order": 7})
    pipeline.step()
    [delivery] = functions.deliveries(state="pending")
    assert delivery["errors"][0]["message"] == "never works"
    pipeline.step()
    assert len(runner.specs) == 1  # not yet: the back-off is a minute
    for _ in range(4):
        pipeline.hurry()
        pipeline.step()
    assert [spec.attempt for spec in runner.specs] == [1, 2, 3]
    [delivery] = functions.deliveries(state="dead", function="broken")
    assert delivery["reason"] == "attempts_exhausted"
    assert [error["attempt"] for error in delivery["errors"]] == [1, 2, 3]
    assert delivery["event"]["data"] == {"order": 7}


def test_a_redrive_after_the_fix_runs_what_was_dead(
    functions: Functions, pipeline: Pipeline, client: Client, seen: list[Any]
) -> None:
    project = functions.project
    functions.deploy("broken", fail)
    functions.trigger("t", "broken", CUSTOM, retry={"max_attempts": 1})
    functions.publish("com.acme.x", 1)
    pipeline.step()
    functions.deploy("broken", lambda event, spec: seen.append(event["data"]))
    redrive = f"{project.path}/deliveries:redrive"
    reply = client.post(redrive, {"function": "broken"}, token=project.secret_key)
    assert reply.json == {"count": 1}
    pipeline.step()
    assert seen == [1]
    again = client.post(redrive, {"function": "broken"}, token=project.secret_key)
    assert again.json == {"count": 0}  # a succeeded pair is not run again
    pipeline.step()
    assert seen == [1]


def test_purged_deliveries_are_gone_and_on_the_books(
    functions: Functions, pipeline: Pipeline, client: Client
) -> None:
    functions.deploy("broken", fail)
    functions.trigger("t", "broken", CUSTOM, retry={"max_attempts": 1})
    functions.publish("com.acme.x")
    pipeline.step()
    [dead] = functions.deliveries(state="dead")
    reply = client.post(
        f"{functions.project.path}/deliveries:purge",
        {"ids": [dead["id"]]},
        token=functions.project.secret_key,
    )
    assert reply.json == {"count": 1}
    assert functions.deliveries() == []


@pytest.mark.parametrize(
    ("outcome", "kind"), [("throttled", "Throttled"), ("unavailable", "HostUnavailable")]
)
def test_what_never_started_costs_no_attempt(
    functions: Functions, pipeline: Pipeline, runner: FakeRunner, outcome: Any, kind: str
) -> None:
    functions.deploy(
        "f", lambda e, s: RunResult(outcome=outcome, error=RunError(type=kind, message=""))
    )
    functions.trigger("t", "f", CUSTOM, retry={"max_attempts": 1})
    functions.publish("com.acme.x")
    for _ in range(3):
        pipeline.hurry()
        pipeline.step()
    [delivery] = functions.deliveries()
    assert (delivery["state"], delivery["attempts"]) == ("pending", 0)
    runner.handlers["f"] = lambda event, spec: None
    pipeline.hurry()
    pipeline.step()
    assert functions.deliveries()[0]["state"] == "succeeded"


def test_a_lost_connection_to_the_host_may_have_run_and_counts(
    functions: Functions, pipeline: Pipeline
) -> None:
    lost = RunResult(
        outcome="unavailable", error=RunError(type="ConnectionLost", message="went away")
    )
    functions.deploy("f", lambda event, spec: lost)
    functions.trigger("t", "f", CUSTOM, retry={"max_attempts": 1})
    functions.publish("com.acme.x")
    pipeline.step()
    assert functions.deliveries()[0]["reason"] == "attempts_exhausted"


def test_too_old_a_delivery_dies_without_running(
    functions: Functions, pipeline: Pipeline, runner: FakeRunner
) -> None:
    from baas.kernel import db

    functions.deploy("f", lambda event, spec: None)
    functions.trigger("t", "f", CUSTOM, retry={"max_age_s": 1})
    functions.publish("com.acme.x", 5)
    pipeline.dispatch()
    db.execute("UPDATE functions_delivery SET expires_at = now() - interval '1s'")
    pipeline.work()
    [delivery] = functions.deliveries()
    assert (delivery["state"], delivery["reason"]) == ("dead", "max_age_exceeded")
    assert delivery["attempts"] == 0
    assert delivery["event"]["data"] == 5
    assert runner.specs == []


def test_a_loop_of_functions_ends_at_the_depth_cap(
    functions: Functions, pipeline: Pipeline, runner: FakeRunner, client: Client
) -> None:
    def again(event: Any, spec: RunSpec) -> None:
        reply = client.post(
            f"{functions.project.path}/events",
            {"specversion": "1.0", "id": "x", "source": "/f", "type": "com.acme.loop"},
            token=spec.token,
            headers={"Content-Type": "application/cloudevents+json"},
        )
        assert reply.status == 202, reply

    functions.deploy("loop", again)
    functions.trigger("t", "loop", CUSTOM)
    functions.publish("com.acme.loop")
    for _ in range(12):
        pipeline.step()
    assert len(runner.specs) == 8
    [dead] = functions.deliveries(state="dead")
    assert dead["reason"] == "depth_exceeded"
    assert dead["event"]["depth"] == 8


def test_a_poison_result_is_settled_without_holding_up_its_batch(
    functions: Functions, pipeline: Pipeline, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text that PostgreSQL refuses, should it ever get past the cleaning."""
    from functions import records

    monkeypatch.setattr(records, "clean", lambda text: text)

    def handle(event: Any, spec: RunSpec) -> Any:
        if event["data"] == "poison":
            return RunResult(outcome="error", error=RunError(type="E", message="\0"))
        seen.append(event["data"])
        return None

    functions.deploy("f", handle)
    functions.trigger("t", "f", CUSTOM, retry={"max_attempts": 1})
    for data in ("a", "poison", "b"):
        functions.publish("com.acme.x", data)
    pipeline.step()
    assert sorted(seen) == ["a", "b"]
    assert sorted(item["state"] for item in functions.deliveries()) == [
        "dead",
        "succeeded",
        "succeeded",
    ]


def test_a_deleted_trigger_ends_what_it_had_not_delivered(
    functions: Functions, pipeline: Pipeline, runner: FakeRunner, client: Client
) -> None:
    functions.deploy("f", lambda event, spec: None)
    functions.trigger("t", "f", CUSTOM)
    functions.publish("com.acme.x")
    pipeline.dispatch()
    path = f"{functions.project.path}/triggers/t"
    assert client.delete(path, token=functions.project.secret_key).status == 204
    pipeline.work()
    [delivery] = functions.deliveries()
    assert (delivery["state"], delivery["reason"]) == ("dead", "trigger_deleted")
    assert runner.specs == []


def test_a_function_made_anew_does_not_get_the_old_ones_calls(
    functions: Functions, pipeline: Pipeline, runner: FakeRunner, client: Client
) -> None:
    project = functions.project
    functions.deploy("f", lambda event, spec: None)
    call = f"{project.path}/functions/f:invoke"
    later = {"Prefer": "respond-async"}
    assert client.post(call, 1, token=project.secret_key, headers=later).status == 202
    path = f"{project.path}/functions/f"
    assert client.delete(path, token=project.secret_key).status == 204
    functions.deploy("f", lambda event, spec: None)
    pipeline.step()
    [delivery] = functions.deliveries()
    assert (delivery["state"], delivery["reason"]) == ("dead", "version_not_found")
    assert runner.specs == []


def test_a_trigger_that_cannot_be_used_holds_up_nobody(
    listen: Functions, pipeline: Pipeline, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from baas.kernel import db
    from functions.events import matching

    listen.deploy("other", lambda event, spec: None)
    for name in ("damaged", "unlucky"):
        listen.trigger(name, "other", CUSTOM)
    db.execute("UPDATE functions_trigger SET filter = 'event.' WHERE name = 'damaged'")
    of_source = matching.compile_source
    db.execute(
        "UPDATE functions_trigger SET source = %s WHERE name = 'unlucky'",
        ('{"type": "event", "event_type": "unlucky"}',),
    )

    def unlucky(source: Any) -> Any:
        def raises(event: Any) -> bool:
            raise RuntimeError("no")

        return raises if source.get("event_type") == "unlucky" else of_source(source)

    monkeypatch.setattr(matching, "compile_source", unlucky)
    listen.publish("com.acme.x", 1)
    pipeline.step()
    assert seen == [1]
    assert len(listen.deliveries()) == 1


def test_when_the_broker_is_down_leases_go_back_and_nothing_is_lost(
    listen: Functions, pipeline: Pipeline, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.events import transport

    def refuse(leases: Any) -> None:
        raise transport.BrokerDown("connection refused")

    listen.publish("com.acme.x", 1)
    with monkeypatch.context() as broken:
        broken.setattr(transport, "send", refuse)
        pipeline.dispatch()
    [delivery] = listen.deliveries()
    assert (delivery["state"], delivery["attempts"]) == ("pending", 0)
    pipeline.hurry()
    pipeline.step()
    assert seen == [1]


def test_a_project_with_much_work_does_not_delay_another(
    make_functions: Callable[[], Functions], pipeline: Pipeline
) -> None:
    from functions.events import ledger

    loud, quiet = make_functions(), make_functions()
    for functions, count in ((loud, 50), (quiet, 2)):
        functions.deploy("f", lambda event, spec: None)
        functions.trigger("t", "f", CUSTOM)
        for number in range(count):
            functions.publish("com.acme.x", number)
    while pipeline.dispatcher.read_log():
        pass
    leased = ledger.lease(total=20, per_project=1000)
    assert len(leased) <= 20
    ids = {item["id"] for item in quiet.deliveries()}
    assert len(ids) == 2
    assert ids <= {item.lease.id for item in leased}
    pipeline.lose_workers()
    pipeline.step()


def test_a_function_that_listens_to_functions_hears_their_ends(
    functions: Functions, pipeline: Pipeline, client: Client
) -> None:
    heard: list[Any] = []
    functions.deploy("ear", lambda event, spec: heard.append((event["type"], event["data"])))
    functions.deploy("good", lambda event, spec: {"answer": 42})
    functions.deploy("bad", fail)
    functions.trigger(
        "t",
        "ear",
        {"type": "event", "event_type": "baas.function.*"},
        filter='event.data.object.function != "ear"',
    )
    project = functions.project
    for name in ("good", "bad"):
        client.post(f"{project.path}/functions/{name}:invoke", {}, token=project.secret_key)
    for _ in range(4):
        pipeline.step()
    kinds = {kind: data["object"] for kind, data in heard}
    assert kinds["baas.function.succeeded"]["result"] == {"answer": 42}
    assert kinds["baas.function.failed"]["error"]["message"] == "never works"
    assert len(heard) == 2


def test_functions_without_listeners_make_no_events(
    functions: Functions, client: Client, project: TestProject
) -> None:
    functions.deploy("good", lambda event, spec: None)
    client.post(f"{project.path}/functions/good:invoke", {}, token=project.secret_key)
    assert project.events("baas.function.%") == []


def test_the_drift_shows_a_delivery_that_was_lost(
    listen: Functions, pipeline: Pipeline, drift: Callable[[], float]
) -> None:
    from baas.kernel import db

    listen.publish("com.acme.x", 1)
    pipeline.dispatch()
    [delivery] = listen.deliveries()
    db.execute("UPDATE functions_delivery SET state = 'lost' WHERE id = %s", (delivery["id"],))
    assert drift() == 1
    db.execute("UPDATE functions_delivery SET state = 'running' WHERE id = %s", (delivery["id"],))
    pipeline.work()


def test_summing_up_the_tallies_changes_no_figure(
    listen: Functions, pipeline: Pipeline, drift: Callable[[], float]
) -> None:
    from baas.kernel import db
    from functions.events import housekeeping

    for number in range(5):
        listen.publish("com.acme.x", number)
        pipeline.step()
    housekeeping.sum_up_tallies()
    row = db.fetch_one("SELECT count(*), count(DISTINCT name) FROM functions_tally")
    assert row is not None
    assert row[0] == row[1]
    assert drift() == 0


def in_thread(work: Callable[..., None]) -> Callable[..., None]:
    """The work with a database connection of its own thread, closed at the end."""

    def run(*args: Any) -> None:
        from django.db import connection

        try:
            work(*args)
        finally:
            connection.close()

    return run


def test_a_filter_and_the_list_of_events_take_numbers_of_any_size(
    functions: Functions, pipeline: Pipeline, client: Client
) -> None:
    project, key = functions.project, functions.project.secret_key
    client.put(f"{project.path}/collections/big", {}, token=key)
    functions.deploy("listen", lambda event, spec: None)
    source = {"type": "db", "collection": "big"}
    functions.trigger("on-big", "listen", source, filter="event.data.document.n > 1")
    body = b'{"n": ' + b"9" * 400 + b"}"  # beyond every float
    client.request("POST", f"{project.path}/db/big/docs", body=body, token=key)
    pipeline.step()
    [delivery] = functions.deliveries()
    assert delivery["state"] == "succeeded"
    reply = client.get(f"{project.path}/events?type=baas.db.*", token=key)
    assert b"9" * 400 in reply.body
