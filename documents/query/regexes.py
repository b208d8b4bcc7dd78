"""`$regex`: PostgreSQL's regular expressions, read as PCRE would read them as far as they go.

What both PostgreSQL and RE2 understand (see `auth.rules.patterns`) is written out so that they
agree; only that has a predicate, and it cannot be made to run long. Anything else goes to
PostgreSQL, whose statements have a timeout.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from auth.rules.patterns import Pattern, compile_pattern
from documents.query.ast import Path, Regex
from documents.query.problems import invalid_query, unsupported

MAX_PATTERN: Final = 2000  # characters
OPTIONS: Final = frozenset("imsx")
Matcher = Callable[[str], bool]

_FLAGS: Final = re.compile(r"\(\?([imsx]+)\)")
_TOKEN: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|\[[:.=].*?[:.=]\]|[^\]\\])*\]|\(\?#[^)]*\)|.", re.DOTALL
)
_META: Final = frozenset("\\^$.[]|()?*+{}")
_LAST: Final = 0x10FFFF


def parse(path: Path, pattern: Any, options: Any) -> Regex:
    """Raises Malformed. Whether the pattern is well-formed, PostgreSQL says."""
    if not isinstance(pattern, str) or not isinstance(options, str):
        raise invalid_query("$regex and $options take texts")
    if "\0" in pattern or len(pattern) > MAX_PATTERN:
        raise invalid_query(f"a pattern has at most {MAX_PATTERN} characters and no NUL")
    if not OPTIONS.issuperset(options):
        raise invalid_query("$options takes the letters i, m, s and x")
    flags = _FLAGS.match(pattern)
    if flags is not None:
        pattern, options = pattern[flags.end() :], options + flags[1]
    return Regex(path, pattern, "".join(sorted(set(options))))


@lru_cache(maxsize=1024)
def _common(pattern: str, options: str) -> Pattern | None:
    """What PostgreSQL and RE2 agree on; there case is a matter of ASCII."""
    if options not in ("", "i") or (options and not pattern.isascii()):
        return None
    try:
        return compile_pattern(("(?i)" if options else "") + pattern)
    except ValueError:
        return None


def matcher(regex: Regex) -> Matcher:
    """A function that says whether a text matches, as PostgreSQL would.

    Raises Malformed `unsupported_operator` for a pattern that only PostgreSQL understands.
    """
    common = _common(regex.pattern, regex.options)
    if common is None:
        raise unsupported("$regex", f"the pattern {regex.pattern[:60]!r} outside of the database")
    search = common.search
    return lambda text: search(text) is not None


@lru_cache(maxsize=1024)
def for_postgres(pattern: str, options: str) -> str:
    """The text for PostgreSQL's `~`."""
    common = _common(pattern, options)
    return common.postgres if common is not None else with_groups(pattern, options)


def with_groups(pattern: str, options: str) -> str:
    """The same with the groups of the pattern, for those who ask what they captured."""
    dot = "." if "s" in options else r"[^\n]"
    translated = "".join([_translated(token, dot) for token in _TOKEN.findall(pattern)])
    # w: ^ and $ at the lines' ends too; s: at the text's. Neither changes `.` and [^…].
    flags = ("w" if "m" in options else "s") + "".join(sorted({"i", "x"}.intersection(options)))
    return f"(?{flags}){translated}"


def _translated(token: str, dot: str) -> str:
    match token:
        case ".":
            return dot
        case r"\b":
            return r"\y"
        case r"\B":
            return r"\Y"
    return token


@lru_cache(maxsize=1024)
def prefix(pattern: str, options: str) -> str:
    """The text with which all matches begin, as far as that is plain to see: `abc` of `^abc.*d`."""
    if not pattern.startswith("^") or "|" in pattern or not {"i", "m", "x"}.isdisjoint(options):
        return ""
    found: list[str] = []
    for token in _TOKEN.findall(pattern[1:]):
        if len(token) == 1 and token not in _META:
            found.append(token)
        elif len(token) == 2 and token[0] == "\\" and not token[1].isalnum():
            found.append(token[1])
        else:
            if token in ("*", "?", "{", "+") and found:
                found.pop()
            break
    while found and ord(found[-1]) == _LAST:
        found.pop()
    return "".join(found)


def behind(text: str) -> str:
    """The least text (by code points) that comes after all that begin with `text`."""
    code = ord(text[-1]) + 1
    return text[:-1] + chr(0xE000 if code == 0xD800 else code)
