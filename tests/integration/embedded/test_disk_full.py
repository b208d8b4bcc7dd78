"""A disk that really is full."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def on_small_disk(directory: Path, size: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run Python with a disk of this size mounted on `directory`, seen by nobody else."""
    namespace = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    mount = 'mount -t tmpfs -o mode=0700,size="$1" none "$2" && exec "$3" -c "$4"'
    return subprocess.run(
        [*namespace, "sh", "-c", mount, "sh", size, str(directory), sys.executable, script],
        cwd=ROOT,
        env={**os.environ, "BAAS_DATA_DIR": str(directory), "BAAS_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_start_on_a_nearly_full_disk_is_refused(tmp_path: Path) -> None:
    done = on_small_disk(tmp_path, "150m", "import baas.cli, sys; sys.exit(baas.cli.main(['up']))")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: The disk of {tmp_path} is full: 1")
    assert "BAAS_DATA_DIR" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_disk_that_fills_up_while_the_database_is_made_is_explained(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from baas.embedded.errors import StackError
from baas.embedded.postgres import Postgres
directory = Path({str(tmp_path)!r})
try:
    Postgres(directory / "postgres", directory, "secret").prepare()
except StackError as error:
    print(error)
assert not (directory / "postgres").exists()
"""
    done = on_small_disk(tmp_path, "15m", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"The disk of {tmp_path} is full: free some space")
