import threading

import pytest

from functions.events import turns
from functions.events.turns import QUICK_BATCHES, Turn


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch) -> threading.BoundedSemaphore:
    found = threading.BoundedSemaphore(QUICK_BATCHES)
    monkeypatch.setattr(turns, "_places", found)
    return found


def free(places: threading.BoundedSemaphore) -> int:
    taken = 0
    while places.acquire(blocking=False):
        taken += 1
    for _ in range(taken):
        places.release()
    return taken


def test_a_quick_batch_holds_its_place_until_it_ends(places: threading.BoundedSemaphore) -> None:
    with Turn() as turn:
        turn.make_room()
        assert free(places) == QUICK_BATCHES - 1
    assert free(places) == QUICK_BATCHES


def test_a_slow_batch_makes_room_once(
    places: threading.BoundedSemaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "QUICK_S", 0.0)
    with Turn() as turn:
        for _ in range(3):
            turn.make_room()
        assert free(places) == QUICK_BATCHES
    assert free(places) == QUICK_BATCHES


def test_a_batch_that_fails_gives_its_place_back(places: threading.BoundedSemaphore) -> None:
    with pytest.raises(ValueError, match="no"), Turn():
        raise ValueError("no")
    assert free(places) == QUICK_BATCHES
