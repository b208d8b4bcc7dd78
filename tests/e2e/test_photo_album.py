"""The example app against a running stack, also while a process of the stack is killed."""

import re
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest

from .conftest import CHECKOUT, Stack, wait_until

RUN = CHECKOUT / "examples/photo_album/run.py"


def start_album(stack: Stack, photos: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            sys.executable,
            RUN,
            "--operator",
            stack.data_dir / "operator.json",
            "--photos",
            str(photos),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(album: "subprocess.Popen[str]") -> str:
    """Wait for its end; returns the project's slug."""
    output, _ = album.communicate(timeout=240)
    assert album.returncode == 0, output
    found = re.search(r"create a project: (\S+)", output)
    assert found, output
    assert "done in" in output
    return found[1]


def get_all(stack: Stack, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    headers = {"Authorization": f"Bearer {stack.token}"}
    while True:
        separator = "&" if "?" in path else "?"
        url = f"{stack.url}{path}{separator}limit=500" + (f"&cursor={cursor}" if cursor else "")
        page = httpx.get(url, headers=headers, timeout=30).raise_for_status().json()
        items += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            return items


def drift(stack: Stack) -> float:
    metrics = httpx.get(f"{stack.url}/metrics", timeout=30).raise_for_status().text
    values = re.findall(r"^baas_event_drift(?:\{[^}]*\})? (\S+)$", metrics, re.MULTILINE)
    assert values, "no drift metric"
    return sum(abs(float(value)) for value in values)


def assert_settled_once(stack: Stack, slug: str) -> None:
    """Everything accepted is settled, and no succeeded pair was run again."""
    base = f"/v1/projects/{slug}"

    def settled() -> bool:
        states = {item["state"] for item in get_all(stack, f"{base}/deliveries")}
        return states <= {"succeeded", "dead"}

    wait_until(settled, 60, "the settling of all deliveries")
    for function in ("index-photo", "count-photos", "flaky", "broken"):
        deliveries = get_all(stack, f"{base}/deliveries?function={function}&state=succeeded")
        runs = get_all(stack, f"{base}/functions/{function}/invocations")
        succeeded = [run for run in runs if run["state"] == "succeeded"]
        assert len(succeeded) == len(deliveries), function
    assert drift(stack) == 0


def test_the_photo_album_runs_from_an_empty_project_to_a_redriven_dead_letter(
    stack: Stack,
) -> None:
    slug = finish(start_album(stack, photos=4))
    assert_settled_once(stack, slug)


@pytest.mark.parametrize(
    "process", ["web", "realtime", "dispatcher", "worker", "function-host", "redis", "postgres"]
)
def test_the_photo_album_survives_kill_9_of(process: str, stack: Stack) -> None:
    album = start_album(stack, photos=12)
    time.sleep(1.5)  # in the middle of uploads and events
    stack.kill_and_wait(process)
    slug = finish(album)
    assert_settled_once(stack, slug)
