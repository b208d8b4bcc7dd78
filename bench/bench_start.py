"""How long `make up` takes once installed: first start, second start, against Postgres alone."""

import tempfile
import time
from pathlib import Path

from baas.embedded.postgres import Postgres
from baas.embedded.temporary import temporary_stack
from bench.report import Row


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="baas-bench-") as directory:
        data_dir, log = Path(directory) / "data", Path(directory) / "log"
        with temporary_stack(data_dir=data_dir, log=log) as stack:
            first = stack.start_s
        with temporary_stack(data_dir=data_dir, log=log) as stack:
            second = stack.start_s
        bare = Path(directory) / "bare"
        bare.mkdir(mode=0o755)
        began = time.monotonic()
        server = Postgres(bare / "postgres", bare, "bench", durable=True)
        server.start()
        bare_first = time.monotonic() - began
        server.stop()
        began = time.monotonic()
        server.start()
        bare_second = time.monotonic() - began
        server.stop()
    return [
        _row("first start (initdb, migrations, operator)", first, bare_first),
        _row("second start", second, bare_second),
    ]


def _row(what: str, seconds: float, bare: float) -> Row:
    return Row(
        what=what,
        ours=f"{seconds:.1f} s",
        peer=f"{bare:.2f} s (Postgres alone)",
        ratio=f"{seconds / bare:.1f}",
    )
