"""What a start checks and makes before anything runs."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from baas.embedded import binaries, config, datadir, paths
from baas.embedded.errors import StackError
from baas.embedded.listener import Listener

ROOT = Path(__file__).resolve().parents[3]


def test_a_data_directory_belongs_to_one_stack_at_a_time(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    # Another process: a lock of our own would not keep ourselves out.
    script = (
        "from pathlib import Path; from baas.embedded import datadir; import sys\n"
        f"with datadir.locked(Path({str(data_dir)!r})): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        assert datadir.holder(data_dir) == other.pid
        with (
            pytest.raises(StackError, match=rf"Another stack \(pid {other.pid}\) runs on"),
            datadir.locked(data_dir),
        ):
            pass
        other.kill()
    with datadir.locked(data_dir):  # the kernel freed it, nothing had to be cleaned up
        pass
    assert datadir.holder(data_dir) is None


def test_the_data_directory_is_private_even_when_it_was_not(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with datadir.locked(tmp_path):
        assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_file_in_the_place_of_the_data_directory_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StackError, match="BAAS_DATA_DIR"),
        datadir.locked(tmp_path / "file"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to others")
def test_somebody_elses_data_directory_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, -1)
    with (
        pytest.raises(StackError, match="belongs to the user 12345"),
        datadir.locked(tmp_path),
    ):
        pass


def test_secrets_are_made_once_random_and_private(tmp_path: Path) -> None:
    first = datadir.load_secrets(tmp_path)
    assert datadir.load_secrets(tmp_path) == first
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "other").mkdir()
    other = datadir.load_secrets(tmp_path / "other")
    assert other.secret_key != first.secret_key
    assert other.postgres_password != first.postgres_password


def test_lost_secrets_of_an_existing_database_are_not_replaced_silently(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    with pytest.raises(StackError, match=r"secrets\.json is missing"):
        datadir.load_secrets(tmp_path)


def test_a_full_disk_is_refused_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 150 * 2**20))
    with pytest.raises(StackError, match="is full: 150 MiB are free, at least 200 are needed"):
        datadir.check_free_space(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**10, 0, 10**10))
    datadir.check_free_space(tmp_path)


def test_a_taken_port_is_explained_with_its_variable() -> None:
    taken = Listener("127.0.0.1", 0)
    try:
        with pytest.raises(StackError, match=rf"Port {taken.port} .* is taken.*BAAS_PORT="):
            Listener("127.0.0.1", taken.port)
    finally:
        taken.close()


def test_a_foreign_address_is_explained_with_its_variable() -> None:
    with pytest.raises(StackError, match="BAAS_HOST"):
        Listener("203.0.113.1", 0)
    with pytest.raises(StackError, match="BAAS_HOST"):
        Listener("no such host", 0)


def test_the_url_is_one_that_can_be_reached_from_here() -> None:
    listener = Listener("0.0.0.0", 0)
    try:
        assert listener.url == f"http://127.0.0.1:{listener.port}"
        assert listener.nginx_address == f"0.0.0.0:{listener.port}"
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BAAS_PORT", "http"),
        ("BAAS_PORT", "65536"),
        ("BAAS_WEB_WORKERS", "0"),
        ("BAAS_WORKERS", "-1"),
        ("BAAS_DISPATCHERS", "1.5"),
        ("BAAS_ACCESS_LOG", "file"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(StackError, match=rf"{name}='{value}' is wrong: expected"):
        config.from_environ({name: value})


@pytest.mark.parametrize("path", ["/data?x", "/da$ta", '/da"ta', "/100%", "/a\nb"])
def test_a_data_directory_that_no_url_can_hold_is_refused(path: str) -> None:
    with pytest.raises(StackError, match="BAAS_DATA_DIR"):
        config.from_environ({"BAAS_DATA_DIR": path})


def test_the_database_takes_as_many_connections_as_all_threads_may_hold() -> None:
    assert config.from_environ({}).database_connections == 206
    many = config.from_environ({"BAAS_WEB_WORKERS": "8", "BAAS_WEB_THREADS": "64"})
    assert many.database_connections >= 2 * 8 * 64


def test_what_is_given_from_outside_is_not_started() -> None:
    chosen = config.from_environ({})
    assert (chosen.own_postgres, chosen.own_redis, chosen.own_s3) == (True, True, False)
    chosen = config.from_environ(
        {
            "BAAS_DATABASE_URL_FILE": "/run/secrets/database",
            "BAAS_REDIS_URL": "redis://elsewhere",
            "BAAS_OBJECT_STORE": "embedded-s3",
        }
    )
    assert (chosen.own_postgres, chosen.own_redis, chosen.own_s3) == (False, False, True)
    assert config.from_environ({"BAAS_BROKER_URL": "amqp://elsewhere"}).own_redis


def test_sockets_move_to_a_short_directory_when_the_path_is_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert paths.socket_dir_for(Path("/srv/baas")) == Path("/srv/baas/run")
    long = Path("/srv") / ("x" * 90)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    short = paths.socket_dir_for(long)
    assert short == paths.socket_dir_for(long)
    assert short != paths.socket_dir_for(long / "other")
    with socket.socket(socket.AF_UNIX) as fits:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(FileNotFoundError):  # and not: AF_UNIX path too long
            fits.connect(str(short / "function-host-10.sock"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert paths.socket_dir_for(long).parent == tmp_path


def test_a_socket_directory_that_somebody_prepared_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(StackError, match="is not a directory"):
        paths.make_private(tmp_path / "link")


def test_a_named_server_wins_and_a_wrong_name_is_explained(tmp_path: Path) -> None:
    program = tmp_path / "nginx"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(StackError, match="BAAS_NGINX_BIN"):
        binaries.nginx({"BAAS_NGINX_BIN": str(program)})  # not executable
    program.chmod(0o755)
    assert binaries.nginx({"BAAS_NGINX_BIN": str(program)}) == program
    with pytest.raises(StackError, match="BAAS_POSTGRES_BIN"):
        binaries.postgres({"BAAS_POSTGRES_BIN": str(tmp_path)})


def test_the_command_line_says_errors_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "baas.cli", "up"],
        cwd=ROOT,
        env={"PATH": os.defpath, "BAAS_DATA_DIR": str(tmp_path), "BAAS_PORT": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "error: BAAS_PORT='x' is wrong: expected a number, 0 to 65535.\n"
    assert done.stdout == ""


def test_the_supervisor_does_not_import_django() -> None:
    script = (
        "import json, sys, baas.cli; "
        "print(json.dumps([m for m in ('django', 'psycopg', 'celery') if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, env={}
    )
    assert json.loads(done.stdout) == []


def test_the_public_socket_never_blocks_whoever_inherits_it() -> None:
    listener = Listener("127.0.0.1", 0)
    try:
        # Two workers are woken by one connection: the second must get EAGAIN, not sleep.
        assert not os.get_blocking(listener.fd)
    finally:
        listener.close()
