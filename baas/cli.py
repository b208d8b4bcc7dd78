"""The operator's command line: `python -m baas.cli up|status|down`."""

import argparse
import sys
import time

from baas.embedded import config, datadir, runfile, stack
from baas.embedded.errors import StackError
from baas.embedded.parent import Parent

_PATIENCE_S = 60.0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status (1: it failed, 3: nothing runs)."""
    parser = argparse.ArgumentParser(prog="python -m baas.cli", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="run the whole stack in the foreground")
    up.add_argument(
        "--with-parent", action="store_true", help="end when the program that started it ends"
    )
    commands.add_parser("status", help="show what runs on the data directory")
    commands.add_parser("down", help="end the stack that runs on the data directory")
    given = parser.parse_args(arguments)
    try:
        chosen = config.from_environ()
        if given.command == "up":
            stack.up(chosen, Parent() if given.with_parent else None)
            return 0
        return {"status": _status, "down": _down}[given.command](chosen)
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # before anything was started


def _status(chosen: config.Config) -> int:
    supervisor = datadir.holder(chosen.data_dir)
    if supervisor is None:
        print(f"nothing runs on {chosen.data_dir}")
        return 3
    document = runfile.read(chosen.data_dir / "run.json") or {"url": "starting", "processes": []}
    print(f"{document['url']}  {chosen.data_dir}  (supervisor {supervisor})")
    for entry in document["processes"]:
        where = entry.get("socket") or entry.get("port") or ""
        print(f"  {entry['name']:<14} {entry['pid']:>8}  {where}")
    return 0


def _down(chosen: config.Config) -> int:
    supervisor = datadir.holder(chosen.data_dir)
    if supervisor is None:
        print(f"nothing runs on {chosen.data_dir}")
        return 3
    datadir.ask_to_end(supervisor)
    deadline = time.monotonic() + _PATIENCE_S
    while datadir.holder(chosen.data_dir) == supervisor:
        if time.monotonic() > deadline:
            raise StackError(f"The stack (pid {supervisor}) did not end in {_PATIENCE_S:g} s.")
        time.sleep(0.05)
    return 0


if __name__ == "__main__":
    sys.exit(main())
