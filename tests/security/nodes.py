"""Running JavaScript in a host under attack."""

import json
import textwrap
from typing import Any

from functions.runtypes import RunResult
from tests.security.harness import Host


def run(
    host: Host, text: str, event: Any = None, *, file: str = "index.js", **fields: Any
) -> RunResult:
    """Run `exports.main` of a module given as source."""
    return run_files(host, {file: textwrap.dedent(text)}, event, **fields)


def run_files(
    host: Host, files: dict[str, str | bytes], event: Any = None, **fields: Any
) -> RunResult:
    """Run a package."""
    return host.run_files(files, event, **{"runtime": "nodejs", "handler": "index.main", **fields})


def value(host: Host, text: str, event: Any = None, **fields: Any) -> Any:
    """The result of a function that must succeed."""
    result = run(host, text, event, **fields)
    assert result.outcome == "ok", result
    assert result.result is not None
    return json.loads(result.result)


def body(host: Host, text: str, **fields: Any) -> Any:
    """The result of an async function that is given as its body."""
    return value(host, f"exports.main = async (event, context) => {{ {text} }}", **fields)


def refusals(host: Host, attempts: dict[str, str], **fields: Any) -> dict[str, str]:
    """What came of each attempt: `done`, or the code of the error."""
    cases = ",".join(f"{json.dumps(k)}: async () => {{ {v} }}" for k, v in attempts.items())
    text = f"""
    const fs = require('fs'), net = require('net'), child = require('child_process');
    const attempts = {{ {cases} }};
    exports.main = async () => {{
      const found = {{}};
      for (const [name, attempt] of Object.entries(attempts)) {{
        try {{ await attempt(); found[name] = 'done'; }}
        catch (error) {{ found[name] = error.code ?? error.message; }}
      }}
      return found;
    }};
    """
    found: dict[str, str] = value(host, text, **fields)
    return found
