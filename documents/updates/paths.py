"""Paths of updates: their steps, and whether two of them are in each other's way. Pure."""

import re
from typing import Any, Final

from documents import values
from documents.query.problems import unsupported
from documents.updates.ast import Path
from documents.updates.problems import invalid_update

MAX_STEPS: Final = 100
MATCHED: Final = "$"
EVERY: Final = "$[]"
IDENTIFIER: Final = re.compile(r"[a-z][a-zA-Z0-9]*")
_FILTERED: Final = re.compile(r"\$\[([a-z][a-zA-Z0-9]*)\]")


def parse(field: str, *, by_filter: bool) -> Path:
    """The steps of a path. `$` and `$[x]` are only for updates `by_filter`.

    Raises Invalid `invalid_update` or `invalid_field_name`, Malformed `unsupported_operator`.
    """
    path = tuple(field.split("."))
    if len(path) > MAX_STEPS:
        raise invalid_update(field[:100], f"the path has more than {MAX_STEPS} steps")
    for place, step in enumerate(path):
        if not step.startswith("$") or len(path) == 1:
            values.check_field_name(step, field)
        elif place == 0:
            raise invalid_update(field, f"{step!r} stands for elements: name the array before it")
        elif step != EVERY and not by_filter:
            raise unsupported(step, "update of one document: use update-one with a filter")
        elif step == MATCHED:
            if any(before.startswith("$") for before in path[:place]):
                raise invalid_update(field, "$ comes once, and before any $[]")
        elif step != EVERY and identifier(step) is None:
            raise unsupported(step, "update path")
    return path


def identifier(step: str) -> str | None:
    """`x` of the step `$[x]`."""
    found = _FILTERED.fullmatch(step)
    return found[1] if found else None


def has_elements(path: Path) -> bool:
    """Whether it stands for places that depend on the document."""
    return any(step.startswith("$") for step in path)


class Taken:
    """The paths that are changed already; none is changed twice, nor what is in it or around it."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}

    def add(self, path: Path) -> None:
        """Raises Invalid `invalid_update` for a path in conflict with an earlier one."""
        node: dict[str, Any] | None = self._root
        for place, step in enumerate(path):
            if node is None or _is_mixed(node, step):
                raise _conflict(path)
            if place == len(path) - 1:
                if step in node:
                    raise _conflict(path)
                node[step] = None
            else:
                node = node.setdefault(step, {})


def _is_mixed(node: dict[str, Any], step: str) -> bool:
    """As in MongoDB, elements of one array are named by `$[…]`, or else by place: not both."""
    return bool(node) and step.startswith("$[") != next(iter(node)).startswith("$[")


def _conflict(path: Path) -> Exception:
    return invalid_update(".".join(path), "another operator changes it or a part of it")
