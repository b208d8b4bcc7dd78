"""Which Node sandboxes are alike, and which Node may run what."""

import pytest

from functions.host.kinds import PYTHON, kind_of, node_kind
from functions.host.node import Report
from functions.host.output import HeapAbort
from functions.runtypes import RunSpec


def spec(runtime: str, memory_mb: int) -> RunSpec:
    return RunSpec(
        invocation_id="i",
        project="p",
        project_slug="p",
        function="f",
        version=1,
        digest="d",
        event=b"null",
        runtime=runtime,
        memory_mb=memory_mb,
    )


@pytest.mark.parametrize(
    ("memory_mb", "heap_mb"), [(64, 48), (65, 96), (128, 96), (129, 192), (1024, 768), (4096, 3072)]
)
def test_the_heap_is_three_quarters_of_the_next_power_of_two(memory_mb: int, heap_mb: int) -> None:
    assert kind_of(spec("nodejs24", memory_mb)).heap_mb == heap_mb
    assert kind_of(spec("nodejs24", memory_mb)) == node_kind(memory_mb)


def test_python_has_one_kind() -> None:
    assert kind_of(spec("python3.11", 64)) == kind_of(spec("python3.11", 4096)) == PYTHON


def test_there_are_few_kinds() -> None:
    assert len({node_kind(memory_mb) for memory_mb in range(32, 4097)}) == 7


@pytest.mark.parametrize(
    ("wanted", "runs"),
    [
        ("nodejs", True),
        ("nodejs20", True),
        ("nodejs22", True),
        ("nodejs24", False),
        ("nodejs-1", False),
        ("nodejs2²", False),
        ("nodejsx", False),
        ("nodejs" + "1" * 5000, False),
        ("python3.11", False),
        ("", False),
    ],
)
def test_a_node_runs_what_was_made_for_it_and_for_older_ones(wanted: str, runs: bool) -> None:
    report = Report(runtimes={"nodejs": "nodejs22", "nodejs22": "nodejs22"})
    assert report.can_run_node(wanted) == runs
    assert not Report().can_run_node(wanted)


@pytest.mark.parametrize(
    ("pieces", "seen"),
    [
        ([b"FATAL ERROR: Reached heap limit - JavaScript heap out of memory\n"], True),
        (
            [b"FATAL ERR", b"OR: Heap full. JavaScript heap out of ", b"memory"],
            True,
        ),
        ([b"# Fatal process out of memory: Zone"], True),
        ([b"we ran out of memory\n"], False),
        ([b"FATAL ERROR: v8::ToLocalChecked Empty MaybeLocal"], False),
        ([b"FATAL ERROR: ", b"x" * 4096, b"out of memory"], False),
    ],
)
def test_last_words_are_heard_in_any_pieces(pieces: list[bytes], seen: bool) -> None:
    abort = HeapAbort()
    for piece in pieces:
        abort.feed(piece)
    assert abort.was_seen == seen
