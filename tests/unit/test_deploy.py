"""The container files, as far as they can be checked without a container engine."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from baas.embedded import binaries, proxy

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "deploy/compose.yaml").read_text()


def tool(name: str) -> str:
    path = Path(sys.executable).parent / name
    if not path.exists():
        pytest.fail(f"{name} is not installed: `make test` installs it")
    return str(path)


def test_the_dockerfile_passes_the_linter() -> None:
    done = subprocess.run(
        [tool("hadolint"), ROOT / "deploy/Dockerfile"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_compose_file_follows_the_compose_specification() -> None:
    done = subprocess.run(
        [
            tool("check-jsonschema"),
            "--builtin-schema",
            "vendor.compose-spec",
            ROOT / "deploy/compose.yaml",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_the_containers_nginx_configuration_is_accepted_by_nginx(tmp_path: Path) -> None:
    conf = tmp_path / "nginx.conf"
    conf.write_text(
        proxy.render(
            run_dir=tmp_path,
            listen=["127.0.0.1:18999"],
            web=["127.0.0.1:8000"],
            realtime=["127.0.0.1:8001"],
        )
    )
    done = subprocess.run(
        [binaries.nginx(), "-t", "-p", tmp_path, "-e", "stderr", "-c", conf],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_seccomp_profile_lets_the_host_build_sandboxes_and_nothing_administrative() -> None:
    profile = json.loads((ROOT / "deploy/seccomp/function-host.json").read_text())
    denied = {name for rule in profile["syscalls"] for name in rule["names"]}
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    assert not denied & {"unshare", "clone", "mount", "umount2", "pivot_root", "setns", "seccomp"}
    assert {"bpf", "ptrace", "kexec_load", "init_module", "io_uring_setup"} <= denied


def test_the_function_host_gets_no_credentials() -> None:
    service = re.search(r"\n  function-host:\n(.*?)\n  proxy:", COMPOSE, re.DOTALL)
    assert service is not None
    assert "environment: {}" in service[1]
    assert "secrets: []" in service[1]
