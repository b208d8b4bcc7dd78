"""Looking into a running stack: its processes, their sockets, its database."""

import json
import socket
import time
from pathlib import Path
from typing import Any

from baas.embedded.temporary import RunningStack

START_TIMEOUT_S = 20.0


def process(stack: RunningStack, name: str) -> dict[str, Any]:
    """The entry of run.json; of several processes the first."""
    for entry in json.loads((stack.data_dir / "run.json").read_text())["processes"]:
        if entry["name"] in (name, f"{name}-1"):
            return dict(entry)
    raise RuntimeError(f"run.json has no {name}")


def pids(stack: RunningStack) -> dict[str, int]:
    """The processes by name."""
    found = json.loads((stack.data_dir / "run.json").read_text())["processes"]
    return {entry["name"]: entry["pid"] for entry in found}


def database_url(stack: RunningStack) -> str:
    """From the environment of the running web process: the stack keeps its password to itself."""
    pid = process(stack, "web")["pid"]
    for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name == b"BAAS_DATABASE_URL":
            return value.decode()
    raise RuntimeError("the web process has no BAAS_DATABASE_URL")


def wait_for(path: Path) -> None:
    """Return when somebody listens at the Unix socket. Raises RuntimeError after 20 s."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            if path.exists() and probe.connect_ex(str(path)) == 0:
                return
        if time.monotonic() > deadline:
            raise RuntimeError(f"nobody listens at {path}")
        time.sleep(0.05)
