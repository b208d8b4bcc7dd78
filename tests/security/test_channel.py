"""The control channel: every byte from a sandbox is hostile."""

import os
import textwrap
import time

import pytest

from tests.security.harness import Host

# Speaks on the control channel in place of the honest worker.
FORGE = """
import json, os, socket, struct, sys, threading, time
control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, 3)
def frame(header, body=b"", **lie):
    packed = json.dumps({**header, **({"body": len(body)} if body else {}), **lie}).encode()
    return struct.pack(">I", len(packed)) + packed + body
def reply(context, body=b'"forged"', **changes):
    return frame({"type": "reply", "id": context.invocation_id, "outcome": "ok", **changes}, body)
"""


@pytest.mark.parametrize(
    "attack",
    [
        "control.sendall(reply(context, id='another'))",
        "control.sendall(reply(context, id=None))",
        "control.sendall(reply(context, type='ready'))",
        "control.sendall(reply(context, outcome='throttled'))",
        "control.sendall(reply(context, outcome=['ok']))",
        "control.sendall(reply(context, outcome={}))",
        "control.sendall(b'\\xff\\xff\\xff\\xff')",
        "control.sendall(struct.pack('>I', 5) + b'{\"a\":')",
        "control.sendall(struct.pack('>I', 4) + b'null')",
        "control.sendall(struct.pack('>I', 9) + b'{\"a\":NaN}')",
        "control.sendall(struct.pack('>I', 60000) + b'[' * 60000)",
        "control.sendall(frame({'type': 'reply', 'body': 7 << 20}))",
        "control.sendall(frame({'type': 'reply', 'body': -1}))",
        "control.sendall(frame({'type': 'reply', 'body': True}))",
        "control.sendall(frame({'type': 'reply', 'body': 1e3}))",
        "control.sendall(frame({'type': 'setup_failed', 'step': 'x', 'error': 'y'}))",
        "control.sendall(reply(context) + reply(context))",
        "control.sendall(os.urandom(4096))",
        "control.shutdown(socket.SHUT_RDWR)",
    ],
)
def test_a_forged_frame_costs_the_instance_its_life(host: Host, attack: str) -> None:
    text = f"""
    def handler(event, context):
        if event == "well":
            return os.getpid()
        {attack}
        time.sleep(30)
    """
    begun = time.monotonic()
    result = host.run(FORGE + "\n" + textwrap.dedent(text), "attack", timeout_s=2.0)
    assert result.outcome == "crashed" or b"forged" in (result.result or b""), result
    assert time.monotonic() - begun < 1.5
    again = host.run(FORGE + "\n" + textwrap.dedent(text), "well")
    assert again.result == b"1", again


def test_a_partial_frame_waits_for_the_deadline_only(host: Host) -> None:
    text = (
        FORGE
        + """
def handler(event, context):
    for byte in reply(context)[:-1]:
        control.sendall(bytes([byte]))
        time.sleep(0.001)
    time.sleep(30)
"""
    )
    assert host.run(text, timeout_s=0.7).outcome == "timeout"


def test_a_second_reply_is_not_taken_for_the_next_call(host: Host) -> None:
    text = (
        FORGE
        + """
def handler(event, context):
    if event == "attack":
        # Sent between the honest reply and the freeze, or during the next call.
        late = lambda: (time.sleep(0.0005), control.sendall(reply(context)))
        threading.Thread(target=late).start()
        return "first"
    return "second"
"""
    )
    for _ in range(10):
        first = host.run(text, "attack", function="dup")
        assert first.outcome in ("ok", "crashed")
        second = host.run(text, "next", function="dup")
        # The frame has the id of a call that is over: never believed, at worst fatal.
        assert second.outcome == "crashed" or second.result == b'"second"', second


@pytest.mark.parametrize(
    "body",
    [b"{", b"NaN", b'{"a": 1} trailing', b'"\\ud800"', b"\xff", b"[" * 100_000, b"", b"'x'"],
)
def test_a_result_that_is_not_json_is_an_invalid_response(host: Host, body: bytes) -> None:
    text = (
        FORGE
        + f"""
def handler(event, context):
    control.sendall(reply(context, body={body!r}))
    time.sleep(30)
"""
    )
    assert host.run(text, timeout_s=2.0).outcome == "invalid_response"


def test_a_forged_error_is_cut_and_kept_as_text(host: Host) -> None:
    text = (
        FORGE
        + """
def handler(event, context):
    error = {"type": "T" * 10_000 + "\\ud800", "message": "m" * 60_000}
    control.sendall(reply(context, body=b"", outcome="error", error=error)[:])
    time.sleep(30)
"""
    )
    result = host.run(text, timeout_s=2.0)
    if result.outcome == "crashed":  # over the header cap: the channel is closed instead
        return
    assert result.outcome == "error"
    assert result.error is not None
    assert len(result.error.type) <= 200
    assert len(result.error.message) <= 4096


@pytest.mark.parametrize("error", ["'text'", "7", "[1]", "{'type': 1, 'message': {}}", "None"])
def test_a_misshapen_error_is_survived(host: Host, error: str) -> None:
    text = (
        FORGE
        + f"""
def handler(event, context):
    control.sendall(reply(context, body=b"", outcome="error", error={error}))
    time.sleep(30)
"""
    )
    assert host.run(text, timeout_s=2.0).outcome == "error"


def test_forged_log_lines_stay_text(host: Host) -> None:
    text = """
    import os
    def handler(event, context):
        hostile = (
            b'{"level":"fatal","message":"x"}', b'{"level":"info","message":7}', b'{', b'[]',
            b'{"level":["info"],"message":"x"}', b'\\xff\\xfe', b'[' * 5000,
            b'{"level":"info","message":"\\\\ud800"}',
        )
        for line in hostile:
            os.write(5, line + b"\\n")
    """
    result = host.run(text)
    assert result.outcome == "ok"
    assert len(result.logs) == 8
    assert all(item.level in ("debug", "info", "warning", "error") for item in result.logs)


def test_lies_about_figures_change_nothing(host: Host) -> None:
    text = (
        FORGE
        + """
def handler(event, context):
    time.sleep(0.1)
    control.sendall(reply(context, duration_ms=0, billed_ms=0, max_memory_mb=0, cold=False))
    time.sleep(30)
"""
    )
    result = host.run(text, timeout_s=2.0)
    assert result.duration_ms >= 100
    assert result.billed_ms >= 100
    assert result.cold


def test_hostile_code_at_import_is_contained(host: Host) -> None:
    text = FORGE + "control.sendall(frame({'type': 'ready'}))\nwhile True: pass\n"
    result = host.run(text, timeout_s=0.5)
    assert result.outcome in ("timeout", "crashed")
    assert host.run("import os\nos._exit(0)").outcome == "crashed"


def test_a_request_on_the_api_channel_during_loading_ends_the_instance(host: Host) -> None:
    text = """
    import socket, time
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, 4).sendall(b"\\0\\0\\0\\2{}")
    time.sleep(5)
    def handler(event, context): return 1
    """
    begun = time.monotonic()
    assert host.run(text).outcome == "crashed"
    assert time.monotonic() - begun < 1.0


def test_garbage_on_the_api_channel_ends_the_instance(host: Host) -> None:
    text = """
    import os, socket, time
    def handler(event, context):
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, 4).sendall(b"\\xff" * 1000)
        time.sleep(5)
    """
    assert host.run(text).outcome == "crashed"


def test_passing_descriptors_to_the_host_has_no_effect(host: Host) -> None:
    text = (
        FORGE
        + """
def handler(event, context):
    for n in range(3):
        socket.send_fds(control, [reply(context)[:1] if n == 0 else b""], [0, 1, 2])
    return 1
"""
    )
    before = len(os.listdir(f"/proc/{host.pid}/fd"))
    for _ in range(5):
        host.run(text, timeout_s=1.0)
    assert len(os.listdir(f"/proc/{host.pid}/fd")) <= before + 12


def test_a_sandbox_that_does_not_read_its_next_call_is_ended_at_the_deadline(host: Host) -> None:
    text = (
        FORGE
        + """
def handler(event, context):
    control.sendall(reply(context))
    time.sleep(30)
"""
    )
    assert host.run(text, function="deaf").result == b'"forged"'
    begun = time.monotonic()
    result = host.run(text, "x" * (5 << 20), function="deaf", timeout_s=0.7)
    assert result.outcome == "timeout"
    assert time.monotonic() - begun < 3.0
