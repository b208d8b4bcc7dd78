"""What can be wrong with a rule, and the fault that evaluating one may meet.

    RuleError               the rule cannot be accepted; the message says what to change
      RuleSyntaxError       it is not CEL, or larger than the limits; has `position`
      RuleNotCompilable     it is a fine predicate, but a list cannot be filtered by it in SQL

`Fault` and `BudgetSpent` never leave the package: an evaluation that ends in one denies.
"""

from __future__ import annotations


class RuleError(ValueError):
    """A rule that cannot be accepted. `str(error)` is a sentence for whoever wrote the rule."""

    def __init__(self, detail: str, position: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.position = position  # offset in characters into the source, if it is known


class RuleSyntaxError(RuleError):
    """The text is not a rule. `position` is the offset at which reading stopped."""

    def __init__(self, detail: str, position: int) -> None:
        super().__init__(detail, position)


class RuleNotCompilable(RuleError):
    """The rule has no SQL of the same meaning, so it must not guard lists."""


class Fault(Exception):
    """A CEL evaluation error (a missing field, the wrong type, a division by zero).

    `&&`, `||`, `all` and `exists` may absorb it; one that reaches the root denies. It is
    what NULL is to the SQL back end.
    """


class BudgetSpent(Exception):
    """The evaluation did too much work or too many `get()`. Nothing absorbs it: it denies."""
