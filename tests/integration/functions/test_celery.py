"""The real thing: Celery workers, dispatchers and the function host as processes of their own, any
of which may die, and a Redis that forgets."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis

from functions.runner import Runner
from tests.installation import Client, TestProject
from tests.security.harness import Host, start_host

ROOT = Path(__file__).parents[3]
CODE = """
import time
def handler(event, context):
    time.sleep(event["data"].get("sleep", 0))
    if event["data"].get("fail"):
        raise ValueError("as asked")
    print("ran", event["data"]["n"])
"""


class Processes:
    """Processes of the product, against the test's database and Redis."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *argv: str) -> None:
        self.running[name] = subprocess.Popen(
            [sys.executable, *argv],
            cwd=ROOT,
            env=self.env,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def worker(self, name: str = "worker") -> None:
        self.start(
            name,
            *("-m", "celery", "--quiet", "--app", "baas.celery", "worker", "--pool", "threads"),
            *("--concurrency", "4", "--hostname", f"{name}@%h", "--loglevel", "WARNING"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        )

    def dispatcher(self, name: str = "dispatcher") -> None:
        self.start(name, "manage.py", "dispatcher")

    def end(self, name: str, signum: int = signal.SIGTERM) -> int:
        process = self.running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        return process.wait(30)

    def end_all(self) -> None:
        for name in list(self.running):
            self.end(name, signal.SIGKILL)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    found = start_host("root" if os.geteuid() == 0 else "user", api_url="http://127.0.0.1:9")
    if found is None:
        pytest.skip("functions cannot be isolated on this machine")
    yield found
    found.stop()


@pytest.fixture
def processes(
    installation: None, host: Host, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Processes]:
    from django.conf import settings
    from django.db import connection

    from functions import hosting

    runner = Runner(str(host.socket))
    monkeypatch.setattr(hosting, "runner", lambda: runner)
    given = connection.settings_dict
    url = (
        f"postgresql://{quote(given['USER'])}:{quote(given['PASSWORD'])}@/"
        f"{given['NAME']}?host={given['HOST']}"
    )
    found = Processes(
        {
            **os.environ,
            "BAAS_DATABASE_URL": url,
            "BAAS_SECRET_KEY": settings.SECRET_KEY,
            "BAAS_FUNCTION_HOST": str(host.socket),
            "BAAS_DELIVERY_LEASE_S": "3",
        }
    )
    yield found
    found.end_all()


class App:
    """A project with a function that notes what it did in its log."""

    def __init__(self, client: Client, project: TestProject) -> None:
        self.client, self.project = client, project
        self._call("PUT", "/functions/f", {"code": {"inline": {"main.py": CODE}}})
        source = {"type": "event", "event_type": "com.acme.*"}
        retry = {"max_attempts": 5, "backoff_s": 0.1}
        self._call("PUT", "/triggers/t", {"function": "f", "source": source, "retry": retry})

    def _call(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        reply = self.client.request(
            method, self.project.path + path, json=body, token=self.project.secret_key, **more
        )
        assert reply.status < 300, reply
        return reply.json

    def publish(self, count: int, start: int = 0, **data: Any) -> None:
        batch = [
            {
                **{"specversion": "1.0", "id": str(n), "source": "/t", "type": "com.acme.x"},
                "data": {"n": n, **data},
            }
            for n in range(start, start + count)
        ]
        kind = {"Content-Type": "application/cloudevents-batch+json"}
        self._call("POST", "/events", batch, headers=kind)

    def states(self) -> list[str]:
        found = self._call("GET", "/deliveries?limit=1000")["items"]
        return [item["state"] for item in found]

    def ran(self) -> list[int]:
        lines = self._call("GET", "/functions/f/logs?limit=1000")["items"]
        return sorted(int(line["message"].removeprefix("ran ")) for line in lines)

    def wait_for(self, count: int, timeout_s: float = 60) -> None:
        """Until this many deliveries are there and all have succeeded."""
        deadline = time.monotonic() + timeout_s
        while (states := self.states()) != ["succeeded"] * count:
            assert time.monotonic() < deadline, states
            time.sleep(0.1)


@pytest.fixture
def app(client: Client, project: TestProject, processes: Processes) -> App:
    return App(client, project)


def forget_everything() -> None:
    from django.conf import settings

    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushall()


@pytest.mark.usefixtures("drift")
def test_events_reach_the_function_in_its_sandbox(app: App, processes: Processes) -> None:
    processes.worker()
    processes.dispatcher()
    app.publish(50)
    app.wait_for(50)
    assert app.ran() == list(range(50))


@pytest.mark.usefixtures("drift")
def test_a_redis_that_forgets_everything_loses_nothing(app: App, processes: Processes) -> None:
    processes.dispatcher()  # no worker yet: the messages wait in Redis
    app.publish(30)
    deadline = time.monotonic() + 30
    while "running" not in app.states():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    forget_everything()
    processes.worker()
    app.publish(10, start=30)
    forget_everything()
    app.wait_for(40)
    assert app.ran() == list(range(40))


@pytest.mark.usefixtures("drift")
def test_a_worker_killed_in_the_middle_is_replaced(app: App, processes: Processes) -> None:
    processes.dispatcher()
    processes.worker("first")
    app.publish(20, sleep=1)
    deadline = time.monotonic() + 30
    while "succeeded" not in app.states():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    processes.end("first", signal.SIGKILL)
    processes.worker("second")
    app.wait_for(20)
    # At least once: what the dead worker had begun ran again, what it had settled did not.
    assert set(app.ran()) == set(range(20))


@pytest.mark.usefixtures("drift")
def test_two_dispatchers_and_two_workers_do_nothing_twice(app: App, processes: Processes) -> None:
    for number in range(2):
        processes.dispatcher(f"dispatcher-{number}")
        processes.worker(f"worker-{number}")
    for start in range(0, 200, 20):
        app.publish(20, start=start)
    processes.end("dispatcher-0", signal.SIGKILL)
    app.publish(20, start=200)
    app.wait_for(220)
    assert app.ran() == list(range(220))


@pytest.mark.usefixtures("drift")
def test_long_runs_keep_their_lease(app: App, processes: Processes) -> None:
    """Longer than the lease of 3 s, and still run once."""
    processes.dispatcher()
    processes.worker()
    app.publish(1, sleep=7)
    app.wait_for(1)
    assert app.ran() == [0]


def test_a_worker_and_a_dispatcher_end_on_sigterm(app: App, processes: Processes) -> None:
    processes.dispatcher()
    processes.worker()
    app.publish(1)
    app.wait_for(1)
    assert processes.end("dispatcher") == 0
    assert processes.end("worker") == 0


def test_a_dispatcher_without_a_broker_goes_on_and_delivers_when_it_is_back(
    app: App, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = dict(processes.env)
    processes.env["BAAS_BROKER_URL"] = "redis://127.0.0.1:1/0"
    processes.dispatcher()
    app.publish(3)
    time.sleep(4)
    assert set(app.states()) <= {"pending", "running"}
    assert processes.running["dispatcher"].poll() is None
    processes.end("dispatcher")
    processes.env = env
    processes.dispatcher()
    processes.worker()
    app.wait_for(3)
