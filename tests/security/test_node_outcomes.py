"""What becomes of ordinary and of failing Node functions."""

import json
import time

import pytest

from tests.security import nodes
from tests.security.harness import Host, package, start_host


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("index.js", "exports.main = (event) => event + 1;"),
        ("index.js", "module.exports = {main: async (event) => event + 1};"),
        ("index.js", "export const main = (event) => event + 1;"),
        ("index.mjs", "import 'node:fs'; export async function main(event) { return event + 1; }"),
        ("index.mjs", "await Promise.resolve(); export default {main: (event) => event + 1};"),
        ("index.cjs", "exports.main = (event) => require('./index.cjs') && event + 1;"),
        ("index.ts", "export const main = (event: number): number => event + 1;"),
    ],
)
def test_handlers_of_every_make(node_host: Host, file: str, text: str) -> None:
    strips_types = node_host.runner.status()["runtimes"]["nodejs"] >= "nodejs24"
    result = nodes.run(node_host, text, 41, file=file)
    if strips_types or file != "index.ts":
        assert result.result == b"42", result
    else:
        assert result.outcome == "load_error", result


def test_packages_have_modules_and_folders(node_host: Host) -> None:
    files: dict[str, str | bytes] = {
        "src/index.js": "exports.main = () => [require('../lib/a').a, require('dep'), __dirname]",
        "lib/a.js": "exports.a = 1",
        "node_modules/dep/package.json": '{"name": "dep", "main": "it.js"}',
        "node_modules/dep/it.js": "module.exports = 'dep'",
    }
    result = nodes.run_files(node_host, files, handler="src.index.main")
    assert json.loads(result.result or b"") == [1, "dep", "/fn/src"]


def test_the_context_tells_about_the_invocation(node_host: Host) -> None:
    text = """
    exports.main = async (event, context) => {
      const {logger, baas, remaining_ms, remainingMs, ...plain} = context;
      return [plain, context.remaining_ms(), context.remainingMs(), process.env.GREETING,
              Object.keys(baas).sort()];
    };
    """
    plain, first, second, greeting, names = nodes.value(
        node_host,
        text,
        auth={"uid": "u1"},
        attempt=2,
        trace_id="ab" * 16,
        version=7,
        env={"GREETING": "hello"},
        invocation_id="inv-of-context",
        timeout_s=5.0,
    )
    assert plain.pop("deadline").endswith("Z")
    assert plain == {
        "invocation_id": "inv-of-context",
        "function": "attack",
        "version": 7,
        "attempt": 2,
        "auth": {"uid": "u1"},
        "trace_id": "ab" * 16,
    }
    assert 3000 < second <= first <= 5000
    assert greeting == "hello"
    assert names == ["BaasError", "db", "events", "functions", "queues", "storage"]


def test_output_becomes_logs_with_levels_in_order(node_host: Host) -> None:
    text = """
    exports.main = (event, context) => {
      console.log('a', {b: 1}); console.info('c'); console.warn('d'); console.error('e');
      console.debug('f'); process.stdout.write('two\\nlines\\nand a half'); console.log('.');
      context.logger.warning('g %d', 1); context.logger.error(new Error('h').message);
    };
    """
    result = nodes.run(node_host, text)
    assert [(item.level, item.message) for item in result.logs] == [
        ("info", "a { b: 1 }"),
        ("info", "c"),
        ("warning", "d"),
        ("error", "e"),
        ("debug", "f"),
        ("info", "two"),
        ("info", "lines"),
        ("info", "and a half."),
        ("warning", "g 1"),
        ("error", "h"),
    ]


def test_output_of_child_processes_is_logged_too(node_host: Host) -> None:
    text = """
    const { spawnSync } = require('child_process');
    exports.main = () => spawnSync(process.execPath, ['-e', 'console.error("from below")'],
                                   {stdio: 'inherit'}).status;
    """
    result = nodes.run(node_host, text)
    assert result.result == b"0", result
    assert ("error", "from below") in [(item.level, item.message) for item in result.logs]


def test_secrets_are_redacted(node_host: Host) -> None:
    text = "exports.main = () => { console.log(process.env.KEY); throw new Error(process.env.KEY) }"
    result = nodes.run(node_host, text, env={"KEY": "s3cr3t-value"}, secret_names=("KEY",))
    assert "s3cr3t" not in repr(result.logs) + repr(result.error)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("throw new TypeError('bad')", "TypeError", "bad"),
        ("class Mine extends Error {}; throw new Mine('own')", "Mine", "own"),
        ("throw 'text'", "string", "text"),
        ("throw null", "object", "null"),
        ("await Promise.reject(new RangeError('late'))", "RangeError", "late"),
        ("throw Object.defineProperty(new Error(), 'message', {get() { throw 1 }})", "Error", "("),
        ("throw new Proxy(new Error('p'), {get() { throw 1 }})", "Error", "("),
        ("throw new Error('x'.repeat(10000))", "Error", "x" * 4096),
    ],
)
def test_what_a_handler_throws_is_an_error(
    node_host: Host, text: str, kind: str, message: str
) -> None:
    result = nodes.run(node_host, f"exports.main = async () => {{ {text} }}")
    assert result.outcome == "error", result
    assert result.error is not None
    assert result.error.type == kind
    assert result.error.message.startswith(message)
    assert len(result.error.message) <= 4096


def test_stacks_show_the_function_and_nothing_of_the_host(node_host: Host) -> None:
    files: dict[str, str | bytes] = {
        "index.js": "exports.main = async () => { await 0; require('./deep').dig(); }",
        "deep.js": "exports.dig = () => {\n  throw new Error('x', {cause: new Error('why')});\n}",
    }
    result = nodes.run_files(node_host, files)
    stack = result.logs[-1].message
    assert "at exports.dig (/fn/deep.js:2" in stack
    assert "[cause]: Error: why" in stack
    assert "node:internal" not in stack
    assert "/.node" not in stack
    assert str(node_host.directory) not in stack


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("process.exit(0)", "exited with status 0"),
        ("process.exit(7)", "exited with status 7"),
        ("process.abort()", "was killed by SIGABRT"),
        ("process.kill(process.pid, 'SIGKILL')", "was killed by SIGKILL"),
        ("setTimeout(() => { throw new Error('loose') }, 1); await new Promise(() => 0)", "1."),
        ("Promise.reject(new Error('loose')); await new Promise(() => 0)", "exited with status 1"),
    ],
)
def test_an_end_of_the_process_is_a_crash(node_host: Host, text: str, shown: str) -> None:
    result = nodes.run(node_host, f"exports.main = async () => {{ {text} }}", timeout_s=5.0)
    assert result.outcome == "crashed", result
    assert result.error is not None
    assert shown in result.error.message
    if "loose" in text:
        assert "Error: loose" in result.logs[-1].message


def test_a_function_may_catch_its_loose_ends_itself(node_host: Host) -> None:
    text = """
    process.on('uncaughtException', () => 0);
    exports.main = async () => {
      setTimeout(() => { throw new Error('loose'); }, 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      return 'on';
    };
    """
    assert nodes.value(node_host, text) == "on"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("return undefined", b"null"),
        ("return NaN", b"null"),
        ("return {a: [1, 'ü', null], d: new Date(0)}", None),
        ("return 12345678901234567890123456789n", "invalid_response"),
        ("return () => 1", "invalid_response"),
        ("const a = {}; a.a = a; return a", "invalid_response"),
        ("return {toJSON() { throw new Error('no') }}", "invalid_response"),
        ("return 'x'.repeat(6 << 20)", "result_too_large"),
    ],
)
def test_results_are_json(node_host: Host, text: str, result: bytes | str | None) -> None:
    found = nodes.run(node_host, f"exports.main = () => {{ {text} }}")
    if isinstance(result, str):
        assert found.outcome == result, found
    elif result is None:
        expected = {"a": [1, "ü", None], "d": "1970-01-01T00:00:00.000Z"}
        assert json.loads(found.result or b"") == expected
    else:
        assert found.result == result


def test_events_and_results_may_be_large(node_host: Host) -> None:
    text = "exports.main = (event) => event.slice(0, 6000000)"
    result = nodes.run(node_host, text, "é" * 3_000_000, memory_mb=256)
    assert result.outcome == "ok", result
    assert json.loads(result.result or b"") == "é" * 3_000_000


def test_inspect_tells_what_is_wrong_with_a_package(node_host: Host) -> None:
    def verdict(files: dict[str, str | bytes], **fields: object) -> tuple[str, str]:
        code = package(files)
        given = {"runtime": "nodejs", "handler": "index.main", **fields}
        found = node_host.runner.inspect(node_host.spec(code, **given), code)
        return found.outcome, found.detail

    good = "exports.main = () => 1"
    assert verdict({"index.js": good}) == ("ok", "")
    assert verdict({"main.js": good})[0] == "handler_not_found"
    assert verdict({"index.js": "exports.other = 1"})[0] == "handler_not_found"
    assert verdict({"index.js": "exports.main = 1"})[0] == "handler_not_found"
    assert verdict({"index.js": good}, handler="index")[0] == "handler_not_found"
    assert verdict({"index.js": "syntax error"})[0] == "load_error"
    assert verdict({"index.js": "require('nowhere')"})[0] == "load_error"
    assert verdict({"index.js": "process.exit(0)"})[0] == "load_error"
    assert verdict({"../index.js": good})[0] == "package_rejected"
    assert verdict({"index.js": good}, memory_mb=32)[0] == "unsupported"
    assert verdict({"index.js": good}, runtime="nodejs99")[0] == "unsupported"
    assert verdict({"index.js": good}, runtime="nodejs20")[0] == "ok"
    assert verdict({"index.js": good}, runtime="nodejs-1")[0] == "unsupported"
    assert verdict({"index.js": good}, runtime="ruby")[0] == "unsupported"


def test_an_instance_is_reused_and_a_call_of_its_own_is_not(node_host: Host) -> None:
    text = "let n = 0; exports.main = () => ++n"
    found = [nodes.value(node_host, text, function="kept") for _ in range(3)]
    assert found == [1, 2, 3]
    alone = [nodes.value(node_host, text, function="alone", isolation="per-call") for _ in range(3)]
    assert alone == [1, 1, 1]


def test_a_loading_without_end_is_cut_short_by_the_host(node_host: Host) -> None:
    begun = time.monotonic()
    result = nodes.run(node_host, "for (;;);", timeout_s=1.0)
    assert result.outcome == "timeout", result
    assert time.monotonic() - begun < 14


def test_without_node_functions_in_python_run_and_others_are_refused(node_host: Host) -> None:
    host = start_host(node_host.mode, "--no-node")
    assert host is not None
    try:
        status = host.runner.status()
        assert list(status["runtimes"]) == ["python3"]
        assert host.value("def handler(e, c): return 1") == 1
        result = nodes.run(host, "exports.main = () => 1")
        assert result.outcome == "unavailable"
        assert result.error is not None
        assert "not available on this node" in result.error.message
    finally:
        host.stop()
