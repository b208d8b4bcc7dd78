"""Nothing that was answered 2xx is lost, and every event reaches its function, whatever dies."""

import threading
import time
import uuid
from typing import Any

import httpx
import redis

from .conftest import Stack, wait_until
from .test_photo_album import drift, get_all

WRITES_PER_S = 40
PROCESSES = ["web", "dispatcher", "worker", "function-host", "redis", "realtime", "postgres"]
ECHO = "def handler(event, context):\n    return event['subject']\n"


class Writer(threading.Thread):
    """Creates documents at a steady rate; `answered` are the ids that got a 201."""

    def __init__(self, stack: Stack, base: str) -> None:
        super().__init__()
        self._http = httpx.Client(
            base_url=stack.url + base,
            headers={"Authorization": f"Bearer {stack.token}"},
            timeout=20,
        )
        self._ended = threading.Event()
        self.answered: list[str] = []
        self.unsure: set[str] = set()  # a connection broke: may be there or not
        self.refused: list[str] = []

    def run(self) -> None:
        while not self._ended.is_set():
            time.sleep(1 / WRITES_PER_S)
            document_id = uuid.uuid4().hex
            try:
                reply = self._http.post("/db/notes/docs", json={"_id": document_id, "n": 1})
            except httpx.TransportError:
                self.unsure.add(document_id)
                continue
            if reply.status_code == 201:
                self.answered.append(document_id)
            elif reply.status_code == 503:
                assert reply.headers["Content-Type"] == "application/problem+json"
                assert reply.headers["Retry-After"]
                self.unsure.add(document_id)
            else:
                self.refused.append(f"{reply.status_code} {reply.text}")

    def stop(self) -> None:
        self._ended.set()
        self.join(60)
        self._http.close()


def call(stack: Stack, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {stack.token}"}
    reply = httpx.request(method, stack.url + path, json=body, headers=headers, timeout=30)
    assert reply.status_code < 300, reply.text
    return reply.json()


def flush_redis(stack: Stack) -> None:
    entry = stack.processes()["redis"]
    client = (
        redis.Redis(unix_socket_path=entry["socket"])
        if "socket" in entry
        else redis.Redis(port=entry["port"])
    )
    assert client.flushall()
    client.close()


def test_what_was_answered_is_kept_and_delivered_once_while_every_process_dies_in_turn(
    stack: Stack,
) -> None:
    slug = f"survival-{uuid.uuid4().hex[:8]}"
    base = f"/v1/projects/{slug}"
    call(stack, "POST", "/v1/admin/projects", {"slug": slug})
    call(stack, "PUT", f"{base}/collections/notes", {"rules": {}})
    function = {
        "runtime": "python3",
        "handler": "main.handler",
        "max_concurrency": 10,
        "code": {"inline": {"main.py": ECHO}},
    }
    call(stack, "PUT", f"{base}/functions/echo", function)
    source = {"type": "db", "collection": "notes", "operations": ["create"]}
    retry = {"max_attempts": 20, "max_age_s": 3600, "backoff_s": 0.2}
    trigger = {"function": "echo", "source": source, "retry": retry}
    call(stack, "PUT", f"{base}/triggers/on-note", trigger)

    writer = Writer(stack, base)
    writer.start()
    try:
        for name in PROCESSES:
            time.sleep(1)
            stack.kill_and_wait(name)
        time.sleep(0.5)
        flush_redis(stack)
        time.sleep(1)
    finally:
        writer.stop()

    assert writer.refused == []
    assert len(writer.answered) > 100
    kept = {item["_id"] for item in get_all(stack, f"{base}/db/notes/docs")}
    assert set(writer.answered) <= kept
    assert kept <= set(writer.answered) | writer.unsure

    def all_delivered() -> bool:
        return len(get_all(stack, f"{base}/deliveries?state=succeeded")) >= len(kept)

    wait_until(all_delivered, 90, "the delivery of every event")
    deliveries = get_all(stack, f"{base}/deliveries?state=succeeded")
    subjects = [delivery["event"]["subject"] for delivery in deliveries]
    assert sorted(subjects) == sorted(f"notes/{document_id}" for document_id in kept)
    runs = get_all(stack, f"{base}/functions/echo/invocations")
    assert sum(run["state"] == "succeeded" for run in runs) == len(kept)
    assert drift(stack) == 0
