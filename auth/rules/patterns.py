"""The regular expressions of `matches()`.

The engines differ in syntax and in what `.`, `$`, `\\d` and case mean, and Python's own can be
made to run for ever. So a pattern is read here, in the subset below, and written out afresh for
RE2 (linear time) and for PostgreSQL with everything spelt out, so that both mean the same:

    literals · . (not a newline) · ^ $ (ends of the text) · [a-z] [^…] · \\d \\D \\w \\W \\s \\S (ASCII)
    · \\n \\r \\t · \\ before any sign · ( ) and (?: ) · | · * + ? {m} {m,} {m,n} · (?i) at the start (ASCII)
"""  # noqa: E501 - one list

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import re2  # type: ignore[import-untyped] # no stubs published

from auth.rules.errors import Fault

MAX_REPEAT: Final = 255  # PostgreSQL's limit
MAX_WORK: Final = 1000  # product of nested repeat counts; RE2 has the same
_MAX_DEPTH: Final = 20

_CLASSES: Final[dict[str, tuple[tuple[int, int], ...]]] = {
    "d": ((48, 57),),
    "w": ((48, 57), (65, 90), (95, 95), (97, 122)),
    "s": ((9, 10), (12, 13), (32, 32)),
}
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}
_Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """One regular expression, as text for PostgreSQL's `~` and compiled for Python."""

    postgres: str
    search: Callable[[str], object | None]

    def matches(self, text: str) -> bool:
        """Whether it occurs anywhere in `text`."""
        try:
            return self.search(text) is not None
        except UnicodeEncodeError:
            raise Fault("the text is not valid Unicode") from None


@lru_cache(maxsize=1024)
def compile_pattern(source: str) -> Pattern:
    """Raises ValueError with a sentence for what is outside of the subset."""
    for_re2, for_postgres = _Reader(source).read()
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(for_re2, options=options)
    except re2.error as error:
        raise ValueError(f"the pattern is too large: {error}") from error
    return Pattern(postgres=for_postgres, search=compiled.search)


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.depth = 0
        self.fold = source.startswith("(?i)")
        if self.fold:
            self.at = 4

    def read(self) -> tuple[str, str]:
        re2_text, pg_text, _ = self.alternatives()
        if self.at < len(self.source):
            raise self.problem("unmatched )")
        return re2_text, pg_text

    def problem(self, what: str) -> ValueError:
        return ValueError(f"matches(): {what} at {self.at} of the pattern")

    def peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def take(self) -> str:
        sign = self.peek()
        if not sign:
            raise self.problem("the pattern ends too early")
        self.at += 1
        return sign

    def alternatives(self) -> tuple[str, str, int]:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.problem("too many nested groups")
        branches = [self.branch()]
        while self.peek() == "|":
            self.take()
            branches.append(self.branch())
        self.depth -= 1
        return (
            "|".join(part[0] for part in branches),
            "|".join(part[1] for part in branches),
            max(part[2] for part in branches),
        )

    def branch(self) -> tuple[str, str, int]:
        for_re2, for_pg, most = "", "", 1
        while self.peek() not in ("", "|", ")"):
            re2_text, pg_text, work = self.repeated()
            for_re2, for_pg, most = for_re2 + re2_text, for_pg + pg_text, max(most, work)
        return for_re2 or "(?:)", for_pg or "(?:)", most

    def repeated(self) -> tuple[str, str, int]:
        re2_text, pg_text, work, repeatable = self.atom()
        sign = self.peek()
        if sign not in ("*", "+", "?", "{"):
            return re2_text, pg_text, work
        if not repeatable:
            raise self.problem("nothing to repeat")
        self.take()
        suffix, times = (sign, 1) if sign != "{" else self.counts()
        work *= times
        if work > MAX_WORK:
            raise self.problem("too many repetitions")
        if self.peek() == "?":
            self.take()  # a lazy repeat matches the same texts
        if self.peek() in ("*", "+", "?", "{"):
            raise self.problem("a repeat of a repeat")
        return re2_text + suffix, pg_text + suffix, work

    def counts(self) -> tuple[str, int]:
        end = self.source.find("}", self.at)
        least, comma, most = self.source[self.at : max(end, self.at)].partition(",")
        if (
            end < 0
            or not all(part.isascii() and part.isdigit() for part in (least, most or "0"))
            or int(most or least) > MAX_REPEAT
            or int(most or least) < int(least)
        ):
            raise self.problem(f"{{ needs counts up to {MAX_REPEAT}, or a backslash before it")
        self.at = end + 1
        times = max(int(most or least), 1)
        return f"{{{int(least)}{comma}{int(most) if most else ''}}}", times

    def atom(self) -> tuple[str, str, int, bool]:
        sign = self.take()
        if sign in "^$":
            return sign, sign, 1, False
        if sign == "(":
            if self.peek() == "?":
                if self.source[self.at : self.at + 2] != "?:":
                    raise self.problem("(? is not supported, but for (?: and (?i) at the start")
                self.at += 2
            re2_text, pg_text, work = self.alternatives()
            if self.peek() != ")":
                raise self.problem("( is never closed")
            self.take()
            return f"(?:{re2_text})", f"(?:{pg_text})", work, True
        if sign == "[":
            return *self.bracket(), 1, True
        if sign == ".":
            return *_write(((10, 10),), True), 1, True
        if sign in "*+?{":
            raise self.problem("nothing to repeat")
        if sign == "\\":
            ranges, negated = self.escape()
            return *_write(ranges, negated), 1, True
        return *_write(self.folded(((ord(sign), ord(sign)),)), False), 1, True

    def escape(self) -> tuple[_Ranges, bool]:
        sign = self.take()
        if sign.lower() in _CLASSES:
            return _CLASSES[sign.lower()], sign.isupper()
        if sign in _CONTROLS:
            sign = _CONTROLS[sign]
        elif sign.isalnum():
            raise self.problem(f"\\{sign} is not supported")
        return ((ord(sign), ord(sign)),), False

    def bracket(self) -> tuple[str, str]:
        negated = self.peek() == "^"
        if negated:
            self.take()
        ranges: list[tuple[int, int]] = []
        while self.peek() != "]" or not ranges:
            if self.peek() == "]" or self.source.startswith(("[:", "[.", "[="), self.at):
                raise self.problem("write ] and [: with a backslash inside of [ ]")
            low = self.member()
            if self.peek() == "-" and self.source[self.at + 1 : self.at + 2] != "]":
                self.take()
                high = self.member()
                if len(low) != 1 or len(high) != 1 or low[0][0] > high[0][1]:
                    raise self.problem("the range is upside down")
                low = ((low[0][0], high[0][1]),)
            ranges.extend(self.folded(low))
        self.take()
        return _write(tuple(ranges), negated)

    def member(self) -> _Ranges:
        sign = self.take()
        if sign != "\\":
            return ((ord(sign), ord(sign)),)
        ranges, negated = self.escape()
        if negated:
            raise self.problem("an upper-case class inside of [ ] is not supported")
        return ranges

    def folded(self, ranges: _Ranges) -> _Ranges:
        if not self.fold:
            return ranges
        more = list(ranges)
        for low, high in ranges:
            for first, last, shift in ((65, 90, 32), (97, 122, -32)):
                if max(low, first) <= min(high, last):
                    more.append((max(low, first) + shift, min(high, last) + shift))
        return tuple(more)


def _write(ranges: _Ranges, negated: bool) -> tuple[str, str]:
    """The set of characters for both engines, every sign but letters and digits by its number."""
    for low, high in ranges:
        if low <= 0xDFFF and high >= 0xD800 and (low >= 0xD800 or high <= 0xDFFF):
            raise ValueError("matches(): the pattern is not valid Unicode")
    single = len(ranges) == 1 and ranges[0][0] == ranges[0][1] and not negated
    texts = []
    for sign in (_for_re2, _for_postgres):
        inside = "".join(
            sign(low) if low == high else f"{sign(low)}-{sign(high)}" for low, high in ranges
        )
        texts.append(inside if single else f"[{'^' if negated else ''}{inside}]")
    return texts[0], texts[1]


def _for_re2(code: int) -> str:
    return chr(code) if chr(code).isascii() and chr(code).isalnum() else f"\\x{{{code:x}}}"


def _for_postgres(code: int) -> str:
    return chr(code) if chr(code).isascii() and chr(code).isalnum() else f"\\U{code:08x}"
