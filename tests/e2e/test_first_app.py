"""The README and the tutorial do what they say: their commands are run as they stand."""

import re
import subprocess
from pathlib import Path

import httpx
import pytest

from .conftest import CHECKOUT, Stack


def commands(page: str) -> str:
    blocks = re.findall(r"^```sh\n(.*?)^```", (CHECKOUT / page).read_text(), re.S | re.M)
    return "\n".join(block for block in blocks if "make up" not in block)


@pytest.mark.parametrize(
    ("page", "project", "answer", "line"),
    [
        ("README.md", "todo", '"title": "water the plants"', "new: feed the cat"),
        (
            "docs/tutorial/first-app.md",
            "shared-list",
            '{"_id": "home", "tasks": 1}',
            "done: water all plants",
        ),
    ],
)
def test_the_commands_of_the_page_work(
    page: str, project: str, answer: str, line: str, stack: Stack, tmp_path: Path
) -> None:
    script = commands(page).replace("http://127.0.0.1:8000", stack.url)
    script = script.replace(".baas/operator.json", str(stack.data_dir / "operator.json"))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    headers = {"Authorization": f"Bearer {stack.token}"}
    diary = httpx.get(f"{stack.url}/v1/projects/{project}/db/diary/docs", headers=headers)
    assert [item["line"] for item in diary.json()["items"]] == [line], done.stdout
    assert answer in done.stdout
    assert "noted" in done.stdout  # the function's log
