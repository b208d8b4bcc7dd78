"""What callers are told of a function's end, in both isolation modes."""

import pytest

from tests.security.harness import Host, package


def test_it_returns_what_the_handler_returns(host: Host) -> None:
    text = "def handler(event, context): return {'got': event, 'n': 1.5, 'text': 'ü 漢'}"
    assert host.value(text, {"a": [1, None]}) == {"got": {"a": [1, None]}, "n": 1.5, "text": "ü 漢"}


def test_it_awaits_a_coroutine_handler(host: Host) -> None:
    text = """
    import asyncio
    async def handler(event, context):
        await asyncio.sleep(0.01)
        return await asyncio.gather(asyncio.to_thread(lambda: 1), asyncio.sleep(0, 2))
    """
    assert host.value(text) == [1, 2]


def test_it_gives_the_context_that_the_contract_names(host: Host) -> None:
    text = """
    def handler(event, c):
        return [c.invocation_id, c.function, c.version, c.attempt, c.auth, c.trace_id,
                c.deadline[-1], 8000 < c.remaining_ms() <= 9000, c.logger.name != ""]
    """
    found = host.value(
        text,
        invocation_id="inv-x",
        function="ctx",
        version=7,
        attempt=3,
        auth={"uid": "u1"},
        trace_id="ab" * 16,
        timeout_s=9.0,
    )
    assert found == ["inv-x", "ctx", 7, 3, {"uid": "u1"}, "ab" * 16, "Z", True, True]


def test_it_reports_what_the_handler_raised_with_a_stack_of_guest_paths(host: Host) -> None:
    text = """
    import json
    def handler(event, context):
        json.loads("{")
    """
    result = host.run(text)
    assert result.outcome == "error"
    assert result.error is not None
    assert result.error.type == "JSONDecodeError"
    [stack] = [item.message for item in result.logs if item.level == "error"]
    assert 'File "/fn/main.py"' in stack
    assert "sandbox" not in stack
    assert "/root" not in stack
    assert "/home" not in stack


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("import os\ndef handler(e, c): os._exit(3)", "crashed"),
        ("import sys\ndef handler(e, c): sys.exit(0)", "crashed"),
        ("import ctypes\ndef handler(e, c): ctypes.string_at(0)", "crashed"),
        ("import os\ndef handler(e, c): os.abort()", "crashed"),
        ("def handler(e, c): return float('nan')", "invalid_response"),
        ("def handler(e, c): return '\\ud800'", "invalid_response"),
        ("def handler(e, c): return {1, 2}", "invalid_response"),
        ("def handler(e, c): a = []; a.append(a); return a", "invalid_response"),
        ("def handler(e, c): return 'x' * (6 << 20)", "result_too_large"),
        ("def handler(e, c): raise MemoryError", "out_of_memory"),
        ("def handler(e, c): return bytearray(1 << 30)", "out_of_memory"),
        ("def handler(e, c): raise KeyboardInterrupt", "error"),
        ("def handler(e, c): return handler(e, c)", "error"),
        ("def handler(e, c):\n while True: pass", "timeout"),
        ("import time\ndef handler(e, c): time.sleep(60)", "timeout"),
        ("syntax error", "load_error"),
        ("raise ValueError('at import')", "load_error"),
        ("def other(e, c): pass", "load_error"),
        ("import no_such_module", "load_error"),
    ],
)
def test_it_names_the_outcome(host: Host, text: str, outcome: str) -> None:
    result = host.run(text, timeout_s=0.5)
    assert result.outcome == outcome, result
    assert result.error is not None
    assert result.result is None


def test_it_says_how_long_and_how_much(host: Host) -> None:
    text = """
    import time
    def handler(event, context):
        block = bytearray(40 << 20)
        time.sleep(0.1)
        return len(block)
    """
    result = host.run(text)
    assert result.outcome == "ok"
    assert result.cold
    assert 100 <= result.duration_ms < 1000
    assert result.duration_ms <= result.billed_ms
    assert 40 <= result.max_memory_mb <= 128


def test_it_tells_output_apart_by_level_and_keeps_its_order(host: Host) -> None:
    text = """
    import logging, os, sys
    def handler(event, context):
        print("one")
        context.logger.warning("two")
        print("three", file=sys.stderr)
        context.logger.debug("four")
        logging.getLogger("lib").error("five")
        print("six", end="")
    """
    result = host.run(text)
    assert [(item.level, item.message) for item in result.logs] == [
        ("info", "one"),
        ("warning", "two"),
        ("error", "three"),
        ("debug", "four"),
        ("error", "five"),
        ("info", "six"),
    ]
    assert all(item.time.endswith("Z") for item in result.logs)


def test_it_takes_output_of_native_code_too(host: Host) -> None:
    text = "import os\ndef handler(e, c): os.write(1, b'raw'); os.write(2, b'err')"
    levels = {item.message: item.level for item in host.run(text).logs}
    assert levels == {"raw": "info", "err": "error"}


def test_it_redacts_secrets_from_logs_and_errors(host: Host) -> None:
    text = """
    import os
    def handler(event, context):
        print("key is", os.environ["KEY"])
        for line in os.environ["PEM"].splitlines():
            print(line)
        raise ValueError(os.environ["KEY"])
    """
    env = {"KEY": "s3cr3t-value", "PEM": "first-line\nsecond-line", "OPEN": "visible"}
    result = host.run(text, env=env, secret_names=("KEY", "PEM"))
    shown = repr(result)
    assert "s3cr3t-value" not in shown
    assert "second-line" not in shown
    assert "[redacted:KEY]" in shown


def test_it_passes_environment_variables(host: Host) -> None:
    text = "import os\ndef handler(e, c): return sorted(os.environ.items())"
    found = dict(host.value(text, env={"MODE": "x"}))
    assert found.pop("MODE") == "x"
    assert set(found) == {"HOME", "TMPDIR", "LANG", "TZ"}


def test_it_stays_warm_between_calls_and_keeps_the_process(host: Host) -> None:
    text = "calls = 0\ndef handler(e, c):\n global calls\n calls += 1\n return calls"
    assert [host.value(text, function="warm") for _ in range(3)] == [1, 2, 3]


def test_it_uses_a_fresh_process_for_each_call_when_asked(host: Host) -> None:
    text = """
    import os
    calls = 0
    def handler(event, context):
        global calls
        calls += 1
        left = os.path.exists("/tmp/left")
        open("/tmp/left", "w").close()
        return [calls, left]
    """
    found = [host.value(text, function="fresh", isolation="per-call") for _ in range(4)]
    assert found == [[1, False]] * 4


def test_it_never_shares_a_process_between_versions_configurations_or_projects(host: Host) -> None:
    text = "import random\nme = random.random()\ndef handler(e, c): return me"
    base = {"function": "keyed"}
    changes: list[dict[str, object]] = [
        {},
        {"version": 2},
        {"env": {"A": "1"}},
        {"project": "carol"},
        {"memory_mb": 256},
        {"function": "keyed2"},
    ]
    found = [host.value(text, **{**base, **change}) for change in changes]
    assert len(set(found)) == len(found)
    assert host.value(text, **base) == found[0]


def test_it_throttles_over_max_concurrency_at_once(host: Host) -> None:
    from concurrent.futures import ThreadPoolExecutor

    text = "import time\ndef handler(e, c): time.sleep(0.5)"

    def call(_: int) -> str:
        return host.run(text, function="narrow", max_concurrency=2).outcome

    with ThreadPoolExecutor(5) as threads:
        outcomes = sorted(threads.map(call, range(5)))
    assert outcomes == ["ok", "ok", "throttled", "throttled", "throttled"]


def test_inspect_tells_what_is_wrong_with_a_package(host: Host) -> None:
    def verdict(files: dict[str, str | bytes], **fields: object) -> tuple[str, str]:
        code = package(files)
        found = host.runner.inspect(host.spec(code, **fields), code)
        return found.outcome, found.detail

    good = "def handler(e, c): pass"
    assert verdict({"main.py": good}) == ("ok", "")
    assert verdict({"pkg/mod.py": good}, handler="pkg.mod.handler")[0] == "ok"
    assert verdict({"main.py": "x = 1"})[0] == "handler_not_found"
    assert verdict({"other.py": good})[0] == "handler_not_found"
    assert verdict({"main.py": good}, handler="main")[0] == "handler_not_found"
    assert verdict({"main.py": "1/0"})[0] == "load_error"
    assert verdict({"../main.py": good})[0] == "package_rejected"
    assert verdict({"main.py": good}, egress=("example.org:443",))[0] == "unsupported"
    assert verdict({"main.py": good}, signature="wechat")[0] == "unsupported"
    assert verdict({"main.py": good}, runtime="ruby3")[0] == "unsupported"


def test_inspect_gives_what_the_package_printed(host: Host) -> None:
    code = package({"main.py": "print('loading')\nraise RuntimeError('no')"})
    found = host.runner.inspect(host.spec(code), code)
    assert found.outcome == "load_error"
    assert "RuntimeError: no" in found.detail
    assert found.logs[0].message == "loading"
