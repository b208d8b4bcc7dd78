"""A stack that lives as long as a `with` block: for the demo and the benchmarks."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from baas.embedded.config import CHECKOUT

START_TIMEOUT_S = 120.0


@dataclass(frozen=True, kw_only=True)
class RunningStack:
    url: str
    data_dir: Path
    start_s: float  # from the command to `ready:`


@contextmanager
def temporary_stack(
    variables: Mapping[str, str] | None = None,
    *,
    data_dir: Path | None = None,
    log: Path | None = None,
) -> Iterator[RunningStack]:
    """Run `python -m baas.cli up` on a free port; its log goes to stderr, or to `log`.

    Without `data_dir` everything is in a temporary directory and gone afterwards. Raises
    RuntimeError when the stack does not become ready.
    """
    with tempfile.TemporaryDirectory(prefix="baas-") as directory:
        where = data_dir or Path(directory) / "data"
        env = {
            **os.environ,
            "BAAS_DATA_DIR": str(where),
            "BAAS_PORT": "0",
            **(variables or {}),
        }
        began = time.monotonic()
        with (log or Path(os.devnull)).open("ab") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "baas.cli", "up", "--with-parent"],
                cwd=CHECKOUT,
                env=env,
                stdout=subprocess.PIPE,
                stderr=sink if log else None,
                text=True,
                start_new_session=True,
            )
        try:
            url = _ready(process)
            yield RunningStack(url=url, data_dir=where, start_s=time.monotonic() - began)
        finally:
            process.terminate()
            process.wait(60)


def _ready(process: "subprocess.Popen[str]") -> str:
    """The address in the line `ready: <url>`; keeps reading what comes after it."""
    found: list[str] = []
    arrived = threading.Event()

    def read() -> None:
        for line in process.stdout or ():
            if line.startswith("ready: "):
                found.append(line.removeprefix("ready: ").strip())
                arrived.set()
        arrived.set()

    threading.Thread(target=read, daemon=True).start()
    if not arrived.wait(START_TIMEOUT_S) or not found:
        raise RuntimeError("the stack did not become ready: its log says why")
    return found[0]
