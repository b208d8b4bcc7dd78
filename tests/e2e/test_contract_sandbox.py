"""The contract on functions that misbehave: what each is answered, and what none can reach."""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import CHECKOUT, Stack, wait_until
from .contract import App, code


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[App]:
    with App(stack) as app:
        yield app


H = "def handler(event, context):\n    "
OUTCOMES = [
    ("raises", H + "raise ValueError('what')", 502, "function_error"),
    ("recursion", H + "return handler(event, context)", 502, "function_error"),
    ("arguments", "def handler(event): return 1", 502, "function_error"),
    ("exits", "import os\n" + H + "os._exit(0)", 502, "function_crashed"),
    ("leaves", "import sys\n" + H + "sys.exit(3)", 502, "function_crashed"),
    ("segfault", "import ctypes\n" + H + "ctypes.string_at(0)", 502, "function_crashed"),
    ("sleeps", "import time\n" + H + "time.sleep(60)", 504, "function_timeout"),
    ("spins", H + "while True: pass", 504, "function_timeout"),
    ("bytearray", H + "return len(bytearray(500 << 20))", 502, "function_out_of_memory"),
    ("grows", H + "a = []\n    while True: a.append(' ' * 999_999)", 502, "function_out_of_memory"),
    ("memory-error", H + "raise MemoryError()", 502, "function_out_of_memory"),
    ("nan", H + "return float('nan')", 502, "function_invalid_response"),
    ("infinity", H + "return {'a': [float('inf')]}", 502, "function_invalid_response"),
    ("a-set", H + "return {1, 2}", 502, "function_invalid_response"),
    ("bytes", H + "return b'x'", 502, "function_invalid_response"),
    ("surrogate", H + "return '\\ud800'", 502, "function_invalid_response"),
    ("large", H + "return 'x' * (7 << 20)", 502, "function_result_too_large"),
]


@pytest.mark.parametrize(
    ("name", "text", "status", "expected"), OUTCOMES, ids=lambda v: str(v)[:12]
)
def test_what_it_is_answered(app: App, name: str, text: str, status: int, expected: str) -> None:
    app.deploy(name, text, timeout_s=1)
    began = time.monotonic()
    reply = app.invoke(name)
    assert (reply.status_code, code(reply)) == (status, expected)
    assert time.monotonic() - began < 20  # of a second; the machine may be busy
    problem = reply.json()
    assert problem["error"].keys() == {"type", "message"}
    assert problem["invocation_id"]
    assert str(CHECKOUT) not in reply.text
    if status != 504:  # the next call finds a whole instance
        assert code(app.invoke(name)) == expected


def test_results_that_are_json(app: App) -> None:
    app.deploy("nothing", H + "pass")
    app.deploy("tuple", H + "return (1, 10**40)")
    app.deploy("largest", H + "return 'x' * ((6 << 20) - 2)")
    app.deploy("async", "async " + H + "return 'async'")
    assert app.invoke("nothing").json() is None
    assert app.invoke("tuple").json() == [1, 10**40]
    assert len(app.invoke("largest").content) == 6 << 20
    assert app.invoke("async").json() == "async"


def test_the_stack_is_in_the_logs(app: App) -> None:
    app.deploy("logged", "def inner(): raise KeyError('k')\n" + H + "inner()")
    error = app.invoke("logged").json()["error"]
    assert (error["type"], error["message"]) == ("KeyError", "'k'")

    def logged() -> Any:
        return app("GET", "/functions/logged/logs?level=error", app.key).json()["items"]

    (line,) = wait_until(logged, 10, "the log")
    assert "in inner" in line["message"]
    assert "functions/sandbox" not in line["message"]  # only the user's own frames


def test_a_flood_of_output_is_cut(app: App) -> None:
    flood = "import sys\n" + H + "sys.stdout.write('y' * 3_000_000 + '\\n' * 50_000)\n    return 1"
    app.deploy("flood", flood, timeout_s=20)
    assert app.invoke("flood").json() == 1

    def logged() -> Any:
        items = app("GET", "/functions/flood/logs?limit=1000", app.key).json()["items"]
        return items if items and "truncated" in items[0]["message"] else None

    items = wait_until(logged, 10, "the logs")
    assert sum(len(item["message"]) for item in items) < 300_000


def test_concurrency_has_a_limit(app: App) -> None:
    import threading

    app.deploy("slow", "import time\n" + H + "time.sleep(1)", max_concurrency=1)
    replies: list[str] = []
    threads = [
        threading.Thread(target=lambda: replies.append(code(app.invoke("slow")))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replies) == ["", "function_throttled", "function_throttled"]


LOOK = """
import ctypes, os, pathlib, socket, sys

def attempt(call):
    try:
        return str(call())[:2000]
    except BaseException as error:
        return f"!{type(error).__name__}"

def connect(family, address):
    with socket.socket(family) as one:
        one.settimeout(1)
        one.connect(address)
        return "connected"

def look(path):
    return os.listdir(path) if os.path.isdir(path) else open(path).read()

def found(name):
    return [str(path) for path in pathlib.Path("/").rglob(name)][:5]

def source(module):
    return __import__("inspect").getsource(sys.modules[module])

def is_open(number):
    return not attempt(lambda: os.fstat(number)).startswith("!")

def handler(event, context):
    return {
        "environment": dict(os.environ),
        "paths": {path: attempt(lambda: look(path)) for path in event["paths"]},
        "writes": {path: attempt(lambda: open(path, "w").write("x"))
                   for path in ("/x", "/fn/main.py", "/usr/x", "/etc/passwd", os.__file__)},
        "unix": {path: attempt(lambda: connect(socket.AF_UNIX, path)) for path in event["unix"]},
        "tcp": {host: attempt(lambda: connect(socket.AF_INET, (host, port)))
                for host, port in event["tcp"]},
        "abstract": attempt(lambda: open("/proc/net/unix").read()),
        "modules": [name for name in ("django", "psycopg", "redis", "celery", "baas.settings")
                    if not attempt(lambda: __import__(name)).startswith("!")],
        "ours": found("settings.py") + found("operator.json"),
        "source": attempt(lambda: source("functions.sandbox.worker")),
        "run": attempt(lambda: __import__("subprocess").run(["/bin/sh", "-c", "id"])),
        "ids": [os.getuid(), os.getgid(), os.getgroups()],
        "descriptors": [number for number in range(256) if is_open(number)],
    }
"""


def test_what_user_code_can_reach(app: App, stack: Stack) -> None:
    app.deploy("look", LOOK, timeout_s=20, env={"MINE": "1"})
    data = str(stack.data_dir)
    processes = stack.processes().values()
    sockets = [process["socket"] for process in processes if process.get("socket")]
    assert sockets
    ports = [process["port"] for process in processes if process.get("port")]
    got = app.invoke(
        "look",
        {
            "paths": [
                *("/proc/1/environ", "/proc/self/environ", "/proc/self/maps", "/proc", "/sys"),
                *("/etc/shadow", "/root/.ssh", "/home", "/var", data, f"{data}/operator.json"),
                *(f"{data}/secrets.json", f"{data}/run.json", str(CHECKOUT)),
            ],
            "unix": sockets,
            # Loopback only: what lies beyond is tried where there is none (tests/security).
            "tcp": [["127.0.0.1", port] for port in {*ports, stack.port}],
        },
    ).json()
    assert got["environment"].keys() <= {"MINE", "HOME", "TMPDIR", "LANG", "TZ", "PATH"}
    assert {path: told for path, told in got["paths"].items() if told[:1] != "!"} == {}
    assert {path: told for path, told in got["writes"].items() if told[:1] != "!"} == {}
    assert {path: told for path, told in got["unix"].items() if told[:1] != "!"} == {}
    assert {host: told for host, told in got["tcp"].items() if told[:1] != "!"} == {}
    for name in ("abstract", "source", "run"):
        assert got[name].startswith("!"), (name, got[name])
    assert got["modules"] == []
    assert got["ours"] == []
    assert got["ids"][0] != 0
    # An ordinary user cannot drop the group that it has: it stays, under the sandbox's own number.
    assert set(got["ids"][2]) <= ({got["ids"][1]} if os.getuid() else set())
    assert len(got["descriptors"]) <= 8


def test_projects_do_not_see_one_another(app: App, stack: Stack) -> None:
    leave = "import os\nSEEN = []\n" + H + "SEEN.append(1)\n    open('/tmp/mark', 'a').write('x')\n"
    leave += "    return [len(SEEN), os.path.getsize('/tmp/mark'), os.listdir('/tmp')]"
    app.deploy("leave", leave)
    assert app.invoke("leave").json()[0] == 1
    with App(stack) as other:
        other.deploy("leave", leave)
        assert other.invoke("leave").json() == [1, 1, ["mark"]]
        client = "from_here = 'x'\n" + H + "return context.baas.db.collection('c').query()['items']"
        app("POST", "/db/c/docs", app.key, {"secret": 1})
        other.deploy("peek", client)
        assert other.invoke("peek").json() == []
    per_call = app.deploy("fresh", leave, isolation="per-call")
    assert per_call["isolation"] == "per-call"
    assert [app.invoke("fresh").json()[0] for _ in range(2)] == [1, 1]
