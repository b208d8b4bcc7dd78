"""Identifiers and secrets."""

import time

from baas.kernel import ids


def test_ids_are_26_url_safe_characters_in_the_order_of_time() -> None:
    earlier = ids.new_id()
    time.sleep(0.002)
    later = ids.new_id()
    assert len(earlier) == 26
    assert set(earlier) <= set("0123456789abcdefghjkmnpqrstvwxyz")
    assert earlier < later


def test_ids_and_secrets_do_not_repeat() -> None:
    assert len({ids.new_id() for _ in range(10_000)}) == 10_000
    assert len({ids.new_secret("sk_") for _ in range(1_000)}) == 1_000


def test_a_secret_has_its_prefix_and_256_bits() -> None:
    secret = ids.new_secret("sk_")
    assert secret.startswith("sk_")
    # 26 pairs of 10 bits each.
    assert len(secret) == 3 + 52
    assert set(secret[3:]) <= set("0123456789abcdefghjkmnpqrstvwxyz")
