import pytest

from baas.kernel.http import rate_limits
from baas.kernel.problems import TooMany


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000_000_000.0]
    monkeypatch.setattr(rate_limits.time, "time", lambda: now[0])
    monkeypatch.setattr(rate_limits, "_start", lambda: None)
    monkeypatch.setattr(rate_limits, "_counts", {})
    monkeypatch.setattr(rate_limits, "_unsent", set())
    return now


def refused(limit: int) -> int:
    """The seconds to wait after a refusal; 0 when it was admitted."""
    try:
        rate_limits.take("key", limit, 10)
    except TooMany as problem:
        return int(problem.headers["Retry-After"])
    return 0


def test_the_window_slides(clock: list[float]) -> None:
    assert [refused(4) for _ in range(5)][:4] == [0, 0, 0, 0]
    clock[0] += 10  # a window later the four still count in full
    assert refused(4) > 0
    clock[0] += 5  # half of them
    assert [refused(4) for _ in range(3)][:2] == [0, 0]


def test_who_waits_as_told_is_admitted(clock: list[float]) -> None:
    for limit in (1, 2, 3, 7):
        clock[0] += 1000
        for _ in range(50):
            wait_s = refused(limit)
            clock[0] += wait_s
            assert wait_s == 0 or refused(limit) == 0


def test_memory_is_bounded(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "MAX_KEYS", 100)
    for number in range(1000):
        rate_limits.take(f"ip{number}", 5, 10)
    assert len(rate_limits._counts) <= 100
    assert rate_limits._unsent <= rate_limits._counts.keys()
