"""Starts a stack of its own, runs the photo album against it, and stops it (`make demo`)."""

import subprocess
import sys
from pathlib import Path

from baas.embedded.temporary import temporary_stack


def main() -> int:
    with temporary_stack() as stack:
        print(f"{stack.start_s * 1000:7.0f} ms  the stack is ready at {stack.url}", flush=True)
        operator = stack.data_dir / "operator.json"
        run = Path(__file__).with_name("run.py")
        return subprocess.run([sys.executable, run, "--operator", operator]).returncode


if __name__ == "__main__":
    sys.exit(main())
