"""`$inc` and `$mul`: exact. Pure."""

from decimal import Decimal, localcontext
from typing import Any, Final

from documents import values
from documents.query.paths import MISSING
from documents.updates.ast import Number, Path
from documents.updates.problems import invalid_update

# Enough digits that sums and products of what can be stored stay exact.
_DIGITS: Final = 40_000


def increased(path: Path, old: Any, amount: Number) -> Number:
    if old is MISSING:
        return amount
    stored = _stored("$inc", path, old)
    if isinstance(stored, int) and isinstance(amount, int):
        return _kept(path, stored + amount)
    with localcontext(prec=_DIGITS):
        return _kept(path, Decimal(stored) + Decimal(amount))


def multiplied(path: Path, old: Any, factor: Number) -> Number:
    """A missing field becomes 0."""
    if old is MISSING:
        return 0
    stored = _stored("$mul", path, old)
    if isinstance(stored, int) and isinstance(factor, int):
        return _kept(path, stored * factor)
    with localcontext(prec=_DIGITS):
        return _kept(path, Decimal(stored) * Decimal(factor))


def _stored(name: str, path: Path, old: Any) -> Number:
    if isinstance(old, bool) or not isinstance(old, int | Decimal):
        raise invalid_update(".".join(path), f"{name} needs a number there")
    return old


def _kept(path: Path, number: Number) -> Number:
    values.normalise(number, ".".join(path))  # refuses what is too large to be kept
    return number
