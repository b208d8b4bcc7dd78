"""All benchmarks in one run: `make bench`, or `python -m bench documents events …`.

Prints one Markdown table with ratios. These machines are noisy: the ratios count, not the figures.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from baas.embedded.temporary import RunningStack, temporary_stack
from bench import bench_documents, bench_events, bench_invoke, bench_realtime, bench_start
from bench.report import Row, heading, table

ON_STACK: dict[str, Callable[[RunningStack], list[Row]]] = {
    "documents": bench_documents.measure,
    "events": bench_events.measure,
    "realtime": bench_realtime.measure,
}


def main(names: list[str]) -> None:
    rows: list[Row] = []
    chosen = names or [*ON_STACK, "invoke", "start"]
    with tempfile.TemporaryDirectory(prefix="baas-bench-") as directory:
        log = Path(directory) / "stack.log"
        # One client sends what a thousand would.
        with temporary_stack({"BAAS_RATE_LIMIT_PER_IP": "0"}, log=log) as stack:
            for name, measure in ON_STACK.items():
                if name in chosen:
                    print(f"measuring {name} …", file=sys.stderr, flush=True)
                    rows += measure(stack)
    if "invoke" in chosen:
        print("measuring invocations …", file=sys.stderr, flush=True)
        rows += bench_invoke.measure()
    if "start" in chosen:
        print("measuring starts …", file=sys.stderr, flush=True)
        rows += bench_start.measure()
    print(heading())
    print()
    print(table(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
