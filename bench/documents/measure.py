"""The measurement: every operation of every contender, each alone in its turn.

    python -m bench documents [--quick]

Turns alternate, so that a slow minute hits all alike; of several turns the median counts.
"""

import statistics
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from baas.embedded.temporary import RunningStack
from bench import cpu
from bench.documents import bare, ours, peer
from bench.documents.contender import OPERATIONS, Contender
from bench.load import drive
from bench.report import Row, ms, rate

SIZES: Final = {10_000: "10 k", 1_000_000: "1 M"}
CONNECTIONS: Final = (1, 8, 64)
MAIN: Final = 8  # connections whose figures make the ratios
LARGE: Final = frozenset({"count", "aggregate"})  # their work grows with the collection
OURS, WEB, BARE, PEER = "ours", "web", "bare", "pocketbase"


@dataclass(frozen=True, kw_only=True)
class Plan:
    sizes: Mapping[int, str]
    turn_s: float
    rounds: int  # with MAIN connections; one with others


FULL: Final = Plan(sizes=SIZES, turn_s=0.7, rounds=3)
QUICK: Final = Plan(sizes={10_000: "10 k"}, turn_s=0.5, rounds=1)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One operation of one contender; medians of its turns."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: Mapping[str, float]  # per request, by process


# size, connections, operation, contender
Key = tuple[int, int, str, str]


def measure(stack: RunningStack, *, is_quick: bool = False) -> list[Row]:
    """Rows for the table; takes about five minutes."""
    plan = QUICK if is_quick else FULL
    figures: dict[Key, Figure] = {}
    for count, name in plan.sizes.items():
        _say(f"documents: loading {name}")
        with ExitStack() as running:
            made = ours.prepare(stack, count)
            contenders = {
                OURS: ours.contender(stack, made),
                WEB: ours.contender(stack, made, direct=True),
                BARE: running.enter_context(bare.running(stack, made)),
                PEER: running.enter_context(peer.running(count)),
            }
            for connections in CONNECTIONS:
                rounds = plan.rounds if connections == MAIN else 1
                for operation in OPERATIONS:
                    if operation in LARGE and connections != MAIN:
                        continue
                    _say(f"documents: {name}, {connections} connections, {operation}")
                    for contender, figure in _turns(
                        contenders, operation, connections, plan.turn_s, rounds
                    ).items():
                        figures[count, connections, operation, contender] = figure
    return [*_ratios(figures, plan), *_growth(figures, plan), *_spread(figures), *_cpu(figures)]


def _turns(
    contenders: Mapping[str, Contender],
    operation: str,
    connections: int,
    turn_s: float,
    rounds: int,
) -> dict[str, Figure]:
    those = {name: it for name, it in contenders.items() if operation in it.requests}
    turns: dict[str, list[Figure]] = {name: [] for name in those}
    for round_ in range(rounds):
        for name, contender in those.items():
            turns[name].append(_turn(contender, operation, connections, turn_s, round_))
    return {name: _median(found) for name, found in turns.items()}


def _turn(
    contender: Contender, operation: str, connections: int, turn_s: float, round_: int
) -> Figure:
    make = contender.requests[operation]
    first = (round_ * 31 + connections) * 100_000  # other documents each time
    meter = cpu.Meter(contender.pids)
    load = drive(
        contender.target, lambda n: make(first + n), seconds=turn_s, connections=connections
    )
    used = meter.seconds()
    return Figure(
        rate=load.rate,
        p50_ms=load.percentile_ms(0.5),
        p99_ms=load.percentile_ms(0.99),
        cpu_us={name: seconds / load.requests * 1e6 for name, seconds in used.items()},
    )


def _median(found: list[Figure]) -> Figure:
    return Figure(
        rate=statistics.median([figure.rate for figure in found]),
        p50_ms=statistics.median([figure.p50_ms for figure in found]),
        p99_ms=statistics.median([figure.p99_ms for figure in found]),
        cpu_us={
            name: statistics.median([figure.cpu_us[name] for figure in found])
            for name in found[0].cpu_us
        },
    )


def _ratios(figures: Mapping[Key, Figure], plan: Plan) -> list[Row]:
    rows = []
    for count, name in plan.sizes.items():
        for operation, what in OPERATIONS.items():
            for mine, theirs, against in (
                (OURS, PEER, "public port, vs PocketBase"),
                (WEB, BARE, "web process, vs bare WSGI"),
            ):
                figure = figures.get((count, MAIN, operation, mine))
                other = figures.get((count, MAIN, operation, theirs))
                if figure is not None and other is not None:
                    ratio = f"{figure.rate / other.rate:.2f}"
                    label = f"{what}, {name}, {against}"
                    rows.append(Row(what=label, ours=_text(figure), peer=_text(other), ratio=ratio))
    return rows


def _growth(figures: Mapping[Key, Figure], plan: Plan) -> list[Row]:
    """How much slower an operation is with a hundred times the documents."""
    if len(plan.sizes) < 2:
        return []
    small, large = plan.sizes
    return [
        Row(
            what=f"{what}, web process: p50 at {plan.sizes[large]} over {plan.sizes[small]}",
            ours=ms(figures[large, MAIN, operation, WEB].p50_ms),
            peer=ms(figures[small, MAIN, operation, WEB].p50_ms),
            ratio=_over(
                figures[large, MAIN, operation, WEB].p50_ms,
                figures[small, MAIN, operation, WEB].p50_ms,
            ),
        )
        for operation, what in OPERATIONS.items()
        if operation not in LARGE
    ]


def _spread(figures: Mapping[Key, Figure]) -> list[Row]:
    """All connection counts, through the public port, at the largest size."""
    count = max(key[0] for key in figures)
    rows = []
    for operation, what in OPERATIONS.items():
        for connections in CONNECTIONS:
            figure = figures.get((count, connections, operation, OURS))
            other = figures.get((count, connections, operation, PEER))
            if figure is not None and other is not None and connections != MAIN:
                rows.append(
                    Row(
                        what=f"{what}, {SIZES[count]}, {connections} connections, vs PocketBase",
                        ours=_text(figure),
                        peer=_text(other),
                        ratio=_over(figure.rate, other.rate),
                    )
                )
    return rows


def _cpu(figures: Mapping[Key, Figure]) -> list[Row]:
    count = max(key[0] for key in figures)
    rows = []
    for operation, what in OPERATIONS.items():
        used = [
            figures[count, MAIN, operation, contender].cpu_us
            for contender in (OURS, BARE, PEER)
            if (count, MAIN, operation, contender) in figures
        ]
        sums = [sum(parts.values()) for parts in used]
        parts = ", ".join(f"{name} {us:,.0f}" for name, us in used[0].items() if us >= 1)
        rows.append(
            Row(
                what=f"{what}: µs of CPU per request ({parts})",
                ours=f"{sums[0]:,.0f}",
                peer=" bare; ".join([f"{us:,.0f}" for us in sums[1:]]),
                ratio=_over(sums[0], sums[-1]),
            )
        )
    return rows


def _text(figure: Figure) -> str:
    return f"{rate(figure.rate)} (p50 {ms(figure.p50_ms)}, p99 {ms(figure.p99_ms)})"


def _over(mine: float, other: float) -> str:
    return f"{mine / other:.2f}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
