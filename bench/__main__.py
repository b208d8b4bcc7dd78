"""All benchmarks in one run: `make bench`, or `python -m bench documents events … [--quick]`.

Prints one Markdown table with ratios. These machines are noisy: the ratios count, not the figures.
"""

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from baas.embedded.temporary import RunningStack, temporary_stack
from bench import bench_events, bench_invoke, bench_realtime, bench_start
from bench.documents.measure import measure as measure_documents
from bench.report import Row, heading, table

ON_STACK: dict[str, Callable[[RunningStack], list[Row]]] = {
    "documents": measure_documents,
    "events": bench_events.measure,
    "realtime": bench_realtime.measure,
}


def main(arguments: list[str]) -> None:
    names = [argument for argument in arguments if argument != "--quick"]
    on_stack = dict(ON_STACK)
    if "--quick" in arguments:
        on_stack["documents"] = partial(measure_documents, is_quick=True)
    rows: list[Row] = []
    chosen = names or [*ON_STACK, "invoke", "start"]
    with tempfile.TemporaryDirectory(prefix="baas-bench-") as directory:
        log = Path(directory) / "stack.log"
        # One client sends what a thousand would.
        with temporary_stack({"BAAS_RATE_LIMIT_PER_IP": "0"}, log=log) as stack:
            for name, measure in on_stack.items():
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
