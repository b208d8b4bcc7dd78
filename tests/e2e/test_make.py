"""`make up` itself: what make does to those that it starts must not get in the way."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import CHECKOUT, Stack, wait_until
from .test_embedded import living


@pytest.fixture
def makefile(tmp_path: Path) -> Path:
    """The `up` of our Makefile, without the installation before it."""
    text = (CHECKOUT / "Makefile").read_text()
    assert "\nup: runtime ##" in text
    path = tmp_path / "Makefile"
    path.write_text(text.replace("\nup: runtime ##", "\nup: ##"))
    return path


def heed_signals() -> None:
    """A test run in the background ignores these, and its children would inherit that."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_to_make_alone_ends_the_stack(
    new_stack: Callable[..., Stack], makefile: Path, number: signal.Signals
) -> None:
    stack = new_stack()
    output = stack.data_dir.with_suffix(".out")
    with output.open("w") as sink, stack.log_path.open("w") as log:
        make = subprocess.Popen(
            ["make", "-f", str(makefile), "up"],
            cwd=CHECKOUT,
            env=stack.environ,
            stdout=sink,
            stderr=log,
            start_new_session=True,
            preexec_fn=heed_signals,
        )
    try:
        wait_until(lambda: f"ready: {stack.url}" in output.read_text(), 120, "ready")
        make.send_signal(number)
        make.wait(60)
        wait_until(lambda: not living(stack.data_dir), 30, "the end of everything")
        assert "LOG:  database system is shut down" in stack.log()
    finally:
        if living(stack.data_dir):
            os.killpg(make.pid, signal.SIGTERM)
