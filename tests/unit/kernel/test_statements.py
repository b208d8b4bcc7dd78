"""Placeholders of psycopg's kind, as PostgreSQL wants them."""

from baas.kernel.statements import _positional


def test_plain_placeholders_are_numbered_in_order() -> None:
    assert _positional(b"SELECT %s, %s") == (b"SELECT $1, $2", (0, 1))


def test_a_name_that_stands_twice_is_one_parameter() -> None:
    text, names = _positional(b"SELECT %(a)s WHERE x = %(b)s OR y = %(a)s")
    assert text == b"SELECT $1 WHERE x = $2 OR y = $1"
    assert names == ("a", "b")


def test_a_doubled_percent_sign_is_one() -> None:
    assert _positional(b"SELECT 'a' LIKE 'b%%' AND %s") == (b"SELECT 'a' LIKE 'b%' AND $1", (0,))
