"""The form of refresh tokens."""

from hypothesis import given
from hypothesis import strategies as st

from auth import refresh_tokens
from baas.kernel import ids

SECRETS = st.binary(min_size=16, max_size=16)
GENERATIONS = st.integers(0, 2**31 - 1)


@given(GENERATIONS, SECRETS)
def test_a_token_says_what_it_was_made_of_and_proves_it(generation: int, secret: bytes) -> None:
    session_id = ids.new_id()
    token = refresh_tokens.make(session_id, generation, secret)
    assert token == refresh_tokens.make(session_id, generation, secret)
    parsed = refresh_tokens.parse(token)
    assert parsed is not None
    assert (parsed.session_id, parsed.generation) == (session_id, generation)
    assert parsed.is_genuine(secret)


@given(GENERATIONS, SECRETS, st.integers(0, 10**6))
def test_a_token_with_any_bit_changed_proves_nothing(
    generation: int, secret: bytes, position: int
) -> None:
    token = refresh_tokens.make(ids.new_id(), generation, secret)
    index = 3 + position % (len(token) - 3)
    other = "A" if token[index] != "A" else "B"
    parsed = refresh_tokens.parse(token[:index] + other + token[index + 1 :])
    # The last character carries bits that base 64 ignores.
    assert parsed is None or not parsed.is_genuine(secret) or index == len(token) - 2


@given(st.text() | st.text().map(lambda text: refresh_tokens.PREFIX + text))
def test_no_text_makes_it_fail(text: str) -> None:
    parsed = refresh_tokens.parse(text)
    assert parsed is None or not parsed.is_genuine(b"")
