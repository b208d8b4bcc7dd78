"""Both ways of leaving root behind really start Postgres and nginx."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from baas.embedded import privileges
from baas.embedded.postgres import Postgres
from baas.embedded.privileges import Demotion

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has nothing to leave")

WAYS = {
    "namespace": Demotion(apply=privileges._enter_user_namespace, uid=0),
    "nobody": Demotion(apply=privileges._become_nobody, uid=65534),
}


@pytest.fixture
def by(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda way: monkeypatch.setattr(privileges, "demotion", lambda: WAYS[way])


@pytest.mark.parametrize("way", WAYS)
def test_a_child_has_no_power_but_that_over_files(tmp_path: Path, way: str) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "private").write_text("readable")
    done = subprocess.run(
        ["sh", "-c", "cat private; id -u; cat /proc/self/status"],
        cwd=tmp_path,
        preexec_fn=WAYS[way].apply,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("readable")
    assert done.stdout.removeprefix("readable").split()[0] != "0"
    sets = dict(re.findall(r"^(Cap\w+):\t(\w+)$", done.stdout, re.MULTILINE))
    allowed = 0 if way == "namespace" else 1 << 1
    for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert int(sets[name], 16) == allowed, name


def test_postgres_starts_either_way_on_the_same_directory(
    tmp_path: Path, by: Callable[[str], None]
) -> None:
    tmp_path.chmod(0o700)
    for way in ("namespace", "nobody", "namespace"):
        by(way)
        server = Postgres(tmp_path / "pg", tmp_path, "secret", durable=False)
        server.start()
        try:
            with psycopg.connect(server.url) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        finally:
            server.stop()
        assert (tmp_path / "pg" / "base").stat().st_uid == WAYS[way].uid


def test_a_first_start_works_without_namespaces(tmp_path: Path, by: Callable[[str], None]) -> None:
    tmp_path.chmod(0o700)
    by("nobody")
    server = Postgres(tmp_path / "pg", tmp_path, "secret", durable=False)
    server.start()
    server.stop()


def test_the_way_that_works_here_is_found() -> None:
    assert privileges.demotion() in (
        Demotion(apply=privileges._enter_user_namespace, uid=0),
        Demotion(apply=privileges._become_nobody, uid=65534),
    )
