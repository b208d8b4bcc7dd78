"""Work that is done again gets the same time and the same ids."""

from datetime import UTC, datetime

from baas.kernel import ids, repeatable

THEN = datetime(2024, 5, 1, 10, 0, 0, 123000, tzinfo=UTC)


def made(seed: bytes) -> list[str]:
    with repeatable.repeating(THEN, seed):
        assert repeatable.now() == THEN
        return [ids.new_id() for _ in range(3)]


def test_the_same_seed_makes_the_same_ids() -> None:
    assert made(b"one") == made(b"one")
    assert len({*made(b"one"), *made(b"two")}) == 6


def test_such_ids_are_of_their_time_and_form() -> None:
    first = ids.first_of(int(THEN.timestamp() * 1000))
    for id in made(b"one"):
        assert len(id) == 26
        assert id[:9] == first[:9]


def test_outside_time_goes_on_and_ids_differ() -> None:
    made(b"one")
    assert not repeatable.is_repeating()
    assert abs((repeatable.now() - datetime.now(UTC)).total_seconds()) < 60
    assert ids.new_id() != ids.new_id()
