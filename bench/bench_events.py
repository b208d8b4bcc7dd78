"""From a committed write to the start of the function that it triggers, at 50 writes a second.

The physical limit it is set against: a commit followed by one Redis publish that a reader waits
for, measured in the same run on the same servers.
"""

import json
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import redis

from baas.embedded.temporary import RunningStack
from bench.report import Row, ms
from bench.stack import process

WRITES = 500
PER_S = 50
CODE = "import time\ndef handler(event, context):\n    print(event['subject'], time.time())\n"


Call = Callable[..., dict[str, Any]]


def measure(stack: RunningStack) -> list[Row]:
    """Rows for the table; takes about 20 s."""
    operator = json.loads((stack.data_dir / "operator.json").read_text())
    project = f"bench-events-{int(time.time())}"
    with httpx.Client(base_url=stack.url, timeout=30) as http:
        http.headers["Authorization"] = f"Bearer {operator['token']}"

        def call(method: str, path: str, body: object = None) -> dict[str, Any]:
            reply = http.request(method, path, json=body)
            reply.raise_for_status()
            found: dict[str, Any] = reply.json()
            return found

        call("POST", "/v1/admin/projects", {"slug": project})
        base = f"/v1/projects/{project}"
        call("PUT", f"{base}/collections/notes", {"rules": {}})
        function = {
            "runtime": "python3",
            "handler": "main.handler",
            "max_concurrency": 20,
            "code": {"inline": {"main.py": CODE}},
        }
        call("PUT", f"{base}/functions/stamp", function)
        source = {"type": "db", "collection": "notes", "operations": ["create"]}
        call("PUT", f"{base}/triggers/stamp", {"function": "stamp", "source": source})
        committed: dict[str, float] = {}
        began = time.monotonic()
        for number in range(WRITES):
            time.sleep(max(0.0, began + number / PER_S - time.monotonic()))
            reply = call("POST", f"{base}/db/notes/docs", {"number": number})
            committed[f"notes/{reply['_id']}"] = time.time()
        latencies = _latencies(call, base, committed)
    limit = _limit(stack)
    p50, p99 = statistics.median(latencies), sorted(latencies)[int(len(latencies) * 0.99)]
    return [
        Row(
            what=f"commit → function start, {PER_S} writes/s, p50",
            ours=ms(p50 * 1000),
            peer=f"{ms(limit * 1000)} (publish → reader)",
            ratio=f"{p50 / limit:.1f}",
        ),
        Row(what=f"commit → function start, {PER_S} writes/s, p99", ours=ms(p99 * 1000)),
    ]


def _latencies(call: Call, base: str, committed: dict[str, float]) -> list[float]:
    """Seconds from the reply of each write to the first line of its function."""
    deadline = time.monotonic() + 60
    while True:
        lines: list[str] = []
        cursor = ""
        while True:
            page = call("GET", f"{base}/functions/stamp/logs?limit=1000{cursor}")
            lines += [item["message"] for item in page["items"]]
            if not page["next_cursor"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
        if len(lines) >= len(committed):
            break
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(lines)} of {len(committed)} functions ran in time")
        time.sleep(0.5)
    started = (line.split() for line in lines)
    return [float(moment) - committed[subject] for subject, moment in started]


def _limit(stack: RunningStack) -> float:
    """Median seconds from a publish to the reader that waits for it."""
    path = process(stack, "redis")["socket"]
    client = redis.Redis(unix_socket_path=str(path))
    reader = client.pubsub(ignore_subscribe_messages=True)
    reader.subscribe("bench")
    reader.get_message(timeout=1)
    arrivals: list[float] = []

    def read() -> None:
        while len(arrivals) < 200:
            if reader.get_message(timeout=5) is not None:
                arrivals.append(time.perf_counter())

    thread = threading.Thread(target=read)
    thread.start()
    sent = []
    for _ in range(200):
        time.sleep(0.005)
        sent.append(time.perf_counter())
        client.publish("bench", b"1")
    thread.join(10)
    return statistics.median(a - s for a, s in zip(arrivals, sent, strict=True))
