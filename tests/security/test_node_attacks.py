"""Hostile JavaScript: the same outcomes as for Python; host and neighbours stay well."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from functions.host.freezer import descendants
from tests.security import nodes
from tests.security.harness import Host, start_host

OUT_OF_BOUNDS = {"EPERM", "EACCES", "EROFS", "ENOENT", "ESRCH"}


def test_files_of_the_host_and_the_system_are_not_there(node_host: Host) -> None:
    paths = ["/etc/shadow", "/proc/self/maps", "/proc/1/environ", "/sys/kernel", "/root/.ssh"]
    paths += [
        "/.store/alice",
        "/.guest/functions/sandbox/child.py",
        "/work",
        "/home",
        "/var",
        "/usr/bin/python3",
    ]
    attempts = {path: f"fs.statSync('{path}')" for path in paths}
    found = nodes.refusals(node_host, attempts)
    assert {path: code for path, code in found.items() if code not in OUT_OF_BOUNDS} == {}
    assert nodes.body(node_host, "return require('fs').readdirSync('/.proc')") == []


def test_no_interpreter_but_node_is_there(node_host: Host) -> None:
    text = """
    const fs = require('fs');
    exports.main = () => {
      const found = [];
      const walk = (path) => {
        for (const entry of fs.readdirSync(path, {withFileTypes: true})) {
          const whole = path + '/' + entry.name;
          if (entry.isDirectory()) walk(whole);
          else if (entry.isFile() && fs.statSync(whole).size && (fs.statSync(whole).mode & 0o111)
                   && !/\\.so/.test(entry.name)) found.push(whole);
        }
      };
      for (const top of ['/usr', '/opt', '/bin', '/.node', '/root'])
        try { walk(top); } catch (error) { if (error.code !== 'ENOENT') throw error; }
      return found.filter((path) => /(bin|python)/.test(path));
    };
    """
    assert nodes.value(node_host, text) == ["/.node/bin/node"]


def test_a_python_function_sees_no_node(host: Host) -> None:
    text = """
    import os
    def handler(event, context):
        return [os.stat("/.node/bin/node").st_size, os.listdir("/.node/worker")]
    """
    if host.runner.status()["runtimes"].get("nodejs"):
        assert host.value(text) == [0, []]


def test_nothing_can_be_written_but_in_tmp(node_host: Host) -> None:
    attempts = {
        path: f"fs.writeFileSync('{path}', 'x')"
        for path in ("/fn/new", "/fn/index.js", "/.node/worker/main.js", "/new", "/etc/passwd")
    }
    attempts["mkdir"] = "fs.mkdirSync('/usr/new')"
    attempts["link"] = "fs.linkSync('/fn/index.js', '/tmp/index.js')"
    attempts["chown"] = "fs.writeFileSync('/tmp/own', 'x'); fs.chownSync('/tmp/own', 0, 0)"
    attempts["node"] = "fs.writeFileSync(process.execPath, 'x')"
    found = nodes.refusals(node_host, attempts)
    assert "done" not in found.values(), found


def test_what_lies_in_tmp_cannot_be_executed_or_loaded(node_host: Host) -> None:
    attempts = {
        "run": "fs.copyFileSync(process.execPath, '/tmp/n', 0); fs.chmodSync('/tmp/n', 0o755);"
        " child.execFileSync('/tmp/n', ['-v'])",
        "dlopen": "fs.copyFileSync(fs.readdirSync('/lib/x86_64-linux-gnu', {encoding: 'utf8'})"
        ".filter((n) => n.startsWith('libm.')).map((n) => '/lib/x86_64-linux-gnu/' + n)[0]"
        " ?? '/.node/bin/node', '/tmp/x.node'); process.dlopen({exports: {}}, '/tmp/x.node')",
    }
    found = nodes.refusals(node_host, attempts, memory_mb=512)
    assert "done" not in found.values(), found
    assert found["dlopen"] == "ERR_DLOPEN_FAILED"


def test_privileges_cannot_be_gained(node_host: Host) -> None:
    attempts = {
        "setuid": "process.setuid(0)",
        "setgid": "process.setgid(0)",
        "setgroups": "process.setgroups([0])",
        "priority": "require('os').setPriority(-20)",
        "unshare": "process.dlopen({exports: {}}, '/nowhere.node')",
    }
    found = nodes.refusals(node_host, attempts)
    assert "done" not in found.values(), found


def test_no_network_is_reached(node_host: Host) -> None:
    connect = (
        "await new Promise((resolve, reject) => net.connect({}).on('connect', resolve)"
        ".on('error', reject))"
    )
    attempts = {
        "loopback": connect.format("{port: 80, host: '127.0.0.1'}"),
        "redis": connect.format("{port: 6379, host: '::1'}"),
        "metadata": connect.format("{port: 80, host: '169.254.169.254'}"),
        "abstract": connect.format("{path: '\\0x'}"),
        "dns": "await require('dns').promises.resolve4('example.org')",
        "fetch": "await fetch('http://127.0.0.1/').catch((error) => { throw error.cause; })",
    }
    found = nodes.refusals(node_host, attempts)
    assert "done" not in found.values(), found


def test_the_debugger_is_out_of_reach_and_harmless(node_host: Host) -> None:
    result = nodes.run(
        node_host,
        "exports.main = async () => { process.kill(process.pid, 'SIGUSR1');"
        " await new Promise((r) => setTimeout(r, 50)); return 1; }",
    )
    assert result.outcome in ("ok", "crashed")


def test_the_keeper_and_the_neighbours_cannot_be_signalled(node_host: Host) -> None:
    found = nodes.refusals(
        node_host,
        {
            "stop": "process.kill(1, 'SIGSTOP')",
            "kill": "process.kill(1, 'SIGKILL')",
            "others": "for (let p = 200; p < 900; p++) try { process.kill(p, 9) } catch {}",
            "all": "process.kill(-1, 0)",
        },
    )
    assert found["others"] == "done"
    assert node_host.value("def handler(e, c): return 1", project="bob") == 1


@pytest.mark.parametrize(
    "attack",
    [
        "const a = []; for (let i = 0; ; i++) a.push({i, s: 'x' + i});",
        "const a = []; for (;;) a.push(Buffer.alloc(1 << 20, 1));",
        "let s = 'x'; const a = []; for (;;) a.push(s = s + Math.random());",
        "const m = new WebAssembly.Memory({initial: 1, maximum: 65536}); for (;;) {"
        " const from = m.buffer.byteLength; m.grow(16); new Uint8Array(m.buffer).fill(1, from); }",
        "const s = new SharedArrayBuffer(1 << 30); new Uint8Array(s).fill(1); return s.byteLength;",
        "const a = []; for (;;) a.push(await require('fs').promises.readFile(process.execPath));",
    ],
    ids=["heap", "buffers", "strings", "wasm", "shared", "files"],
)
def test_a_memory_bomb_is_out_of_memory(node_host: Host, attack: str) -> None:
    text = f"exports.main = async () => {{ {attack} }}"
    result = nodes.run(node_host, text, memory_mb=128, timeout_s=20.0)
    assert result.outcome == "out_of_memory", result
    assert node_host.process.poll() is None


def test_memory_of_child_processes_and_workers_counts(node_host: Host) -> None:
    bomb = "const a = []; for (;;) a.push(Buffer.alloc(1 << 20, 1))"
    text = f"""
    const child = require('child_process');
    exports.main = async () => {{
      for (let i = 0; i < 3; i++) child.spawn(process.execPath, ['-e', {bomb!r}]);
      await new Promise((resolve) => setTimeout(resolve, 15000));
    }};
    """
    result = nodes.run(node_host, text, memory_mb=128, timeout_s=10.0)
    # With cgroups the kernel may choose a child to die, which the parent survives to its deadline.
    assert result.outcome in ("out_of_memory", "timeout"), result
    assert result.max_memory_mb <= 400


def test_a_fork_bomb_meets_its_limit(node_host: Host) -> None:
    text = """
    const child = require('child_process');
    exports.main = async () => {
      let made = 0;
      for (let i = 0; i < 200; i++) {
        const it = child.spawn('/.node/bin/node', ['-e', 'setTimeout(() => 0, 30000)']);
        const ok = await new Promise((resolve) => {
          it.on('spawn', () => resolve(true)); it.on('error', () => resolve(false));
        });
        if (!ok) break;
        made++;
      }
      return made;
    };
    """
    begun = time.monotonic()
    result = nodes.run(node_host, text, memory_mb=256, timeout_s=8.0)
    assert time.monotonic() - begun < 12
    if result.outcome == "ok":
        assert int(result.result or b"") < 64
    else:
        assert result.outcome in ("out_of_memory", "crashed", "timeout"), result


def test_a_bomb_of_worker_threads_meets_its_limit(node_host: Host) -> None:
    text = """
    const { Worker } = require('worker_threads');
    exports.main = async () => {
      for (let i = 0; i < 200; i++) {
        const worker = new Worker('setInterval(() => 0, 1000)', {eval: true});
        await new Promise((resolve, reject) => worker.on('online', resolve).on('error', reject));
      }
      return 'all';
    };
    """
    result = nodes.run(node_host, text, memory_mb=256, timeout_s=8.0)
    assert result.outcome in ("error", "out_of_memory", "crashed", "timeout"), result


@pytest.mark.parametrize(
    "attack",
    [
        "for (;;);",
        "for (const s of ['SIGTERM', 'SIGINT', 'SIGALRM', 'SIGCONT']) process.on(s, () => 0);"
        " for (;;);",
        "const f = () => Promise.resolve().then(f); await f(); await new Promise(() => 0);",
        "/^(a+)+$/.test('a'.repeat(40) + 'b');",
        "await new Promise(() => 0);",
        "const {Worker} = require('worker_threads');"
        " for (let i = 0; i < 4; i++) new Worker('for (;;);', {eval: true}); for (;;);",
    ],
    ids=["spin", "signals", "microtasks", "regex", "never", "threads"],
)
def test_the_deadline_ends_everything(node_host: Host, attack: str) -> None:
    begun = time.monotonic()
    result = nodes.run(
        node_host, f"exports.main = async () => {{ {attack} }}", timeout_s=1.0, memory_mb=256
    )
    assert result.outcome == "timeout", result
    assert time.monotonic() - begun < 6.0


def test_tmp_is_limited(node_host: Host) -> None:
    found = nodes.refusals(
        node_host,
        {
            "bytes": "for (let i = 0; i < 40; i++) fs.writeFileSync('/tmp/f' + i,"
            " Buffer.alloc(8 << 20))",
            "inodes": "for (const n of fs.readdirSync('/tmp')) fs.rmSync('/tmp/' + n);"
            " for (let i = 0; i < 9000; i++) fs.writeFileSync('/tmp/i' + i, '')",
        },
        memory_mb=512,
    )
    assert found == {"bytes": "ENOSPC", "inodes": "ENOSPC"}


def test_a_flood_of_output_is_cut(node_host: Host) -> None:
    text = """
    exports.main = async () => {
      const end = Date.now() + 1000;
      while (Date.now() < end) {
        console.log('x'.repeat(1000)); process.stderr.write('y'.repeat(70000));
        require('fs').writeSync(1, 'z'.repeat(5000));
      }
      return 'survived';
    };
    """
    result = nodes.run(node_host, text, timeout_s=8.0)
    assert result.outcome == "ok", result
    assert sum(len(item.message) for item in result.logs) < 400 << 10
    assert "[log truncated" in result.logs[-1].message


def test_native_code_from_the_package_gains_nothing(node_host: Host) -> None:
    files: dict[str, str | bytes] = {
        "index.js": "exports.main = () => { try { require('./evil.node'); return 'loaded'; }"
        " catch (error) { return error.code ?? error.message; } };",
        "evil.node": b"\x7fELF" + bytes(200),
    }
    result = nodes.run_files(node_host, files)
    assert result.result == b'"ERR_DLOPEN_FAILED"', result
    bindings = """
    exports.main = () => ['spawn_sync', 'fs', 'os', 'process_methods', 'uv', 'v8'].map((name) => {
      try { return typeof process.binding(name); } catch (error) { return error.code; }
    });
    """
    assert nodes.run(node_host, bindings).outcome == "ok"


def test_what_a_function_leaves_running_does_not_run_between_calls(node_host: Host) -> None:
    text = """
    let ticks = 0;
    const { Worker } = require('worker_threads');
    const shared = new Int32Array(new SharedArrayBuffer(4));
    const loop = `const {workerData: s} = require('worker_threads');
      for (;;) { const end = Date.now() + 1; while (Date.now() < end); Atomics.add(s, 0, 1); }`;
    exports.main = async (event) => {
      const before = [ticks, Atomics.load(shared, 0)];
      if (event === 'start') {
        setInterval(() => ticks++, 1);
        const worker = new Worker(loop, {eval: true, workerData: shared});
        await new Promise((resolve) => worker.on('online', resolve));
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      return [before, [ticks, Atomics.load(shared, 0)]];
    };
    """
    fields = {"memory_mb": 256, "function": "left", "invocation_id": "left-running"}
    _, after = nodes.value(node_host, text, "start", **fields)
    time.sleep(2.0)
    before, _ = nodes.value(node_host, text, "look", **fields)
    assert after[0] > 0, "the timer ran while the call did"
    # Each counts milliseconds that it ran; two thousand have passed.
    assert before[0] - after[0] < 500
    assert before[1] - after[1] < 500


def test_projects_share_no_process(node_host: Host) -> None:
    text = """
    global.secret = global.secret ?? [];
    exports.main = (event) => { global.secret.push(event); return [global.secret, process.pid]; };
    """
    assert nodes.value(node_host, text, "a", project="alice")[0] == ["a"]
    assert nodes.value(node_host, text, "b", project="bob", project_slug="bob-app")[0] == ["b"]


def test_many_at_once_and_nothing_is_left(node_host: Host) -> None:
    text = "exports.main = async (n) => { await new Promise(r => setTimeout(r, 5)); return n; }"

    def one(number: int) -> int:
        found: int = nodes.value(node_host, text, number, timeout_s=30.0, isolation="per-call")
        return found

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(one, range(12))) == list(range(12))
    node_host.runner.forget("alice")
    deadline = time.monotonic() + 10
    while _nodes(node_host.pid) > _prepared(node_host) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _nodes(node_host.pid) <= _prepared(node_host)


def test_a_killed_host_leaves_no_node(node_host: Host) -> None:
    own = start_host(node_host.mode)
    assert own is not None
    mark = f"mark-{own.pid}"
    try:
        text = f"""
        exports.main = async () => {{
          require('child_process').spawn(process.execPath, ['-e', 'for (;;);', '{mark}']);
          await new Promise((resolve) => setTimeout(resolve, 100));
        }};
        """
        assert nodes.run(own, text, memory_mb=256).outcome == "ok"
        below = descendants(own.pid)
        assert any(mark.encode() in _command(pid) for pid in below)
        os.kill(own.pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while any(_command(pid) for pid in below) and time.monotonic() < deadline:
            time.sleep(0.02)
        own.process.wait(5)
        assert [pid for pid in below if _command(pid)] == []
    finally:
        own.stop()


def _command(pid: int) -> bytes:
    """The command line of a process, empty when it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _prepared(host: Host) -> int:
    """Sandboxes that wait for any function."""
    found: int = host.runner.status()["prepared"]
    return found


def _nodes(pid: int) -> int:
    """Processes of Node below the host."""
    return sum(_command(process).startswith(b"/.node/") for process in descendants(pid))
