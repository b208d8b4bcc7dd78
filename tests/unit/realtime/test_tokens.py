import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.kernel.events import Position
from baas.kernel.events.log import MAX_SEQ
from realtime.tokens import Seen, Token

xids = st.integers(1, 60)


@given(st.sets(xids, max_size=8), st.integers(1, 60), st.lists(xids, max_size=20))
def test_a_snapshot_has_what_had_committed_before_it(
    running: set[int], xmax: int, later: list[int]
) -> None:
    running = {xid for xid in running if xid < xmax}
    xmin = min(running, default=xmax)
    seen = Seen.of_snapshot(f"{xmin}:{xmax}:{','.join(map(str, sorted(running)))}")
    applied = {xid for xid in range(1, 80) if xid < xmax and xid not in running}
    # The hub then applies all others in order of (xid, seq), never one twice, none left out.
    for xid in sorted(set(later)):
        for seq in (1, 2):
            position = Position(xid, seq)
            assert seen.has(position) == (xid in applied or position <= seen.position)
            seen = seen.advanced(position)
            assert seen.has(position)
            if seq == 1 and xid not in applied:
                assert not seen.has(Position(xid, 2))
        seen = seen.advanced(Position(xid, MAX_SEQ))
        applied |= set(range(1, xid + 1))
    for xid in range(1, 80):
        assert seen.has(Position(xid, 1)) == (xid in applied)


@given(st.integers(1, 10**15), st.integers(0, MAX_SEQ), st.sets(xids), st.integers(0, 10**9))
def test_a_token_says_the_same_after_a_round_trip(
    xid: int, seq: int, running: set[int], xmax: int
) -> None:
    if 10**18 <= seq < MAX_SEQ:
        seq = 10**18 - 1
    seen = Seen(position=Position(xid, seq), xmax=xmax, running=frozenset(running))
    token = Token(seen=seen, issued_at=1_800_000_000, fingerprint="0123456789abcdef")
    decoded = Token.decode(token.encode())
    assert decoded is not None
    assert decoded.fingerprint == token.fingerprint
    assert decoded.issued_at == token.issued_at
    for probe in range(1, 70):
        assert decoded.seen.has(Position(probe, 1)) == seen.has(Position(probe, 1))


@pytest.mark.parametrize("text", ["", "x", "1-2-3", "1-2-3--5-zz", "1-h-3--5-0123456789abcdef\n"])
def test_what_is_no_token_is_none(text: str) -> None:
    assert Token.decode(text) is None


def test_a_token_of_a_year_that_no_date_has_is_none() -> None:
    assert Token.decode(f"1-h-2--{10**11 - 1}-{'0' * 16}") is not None
    assert Token.decode(f"1-h-2--{10**11}-{'0' * 16}") is None
