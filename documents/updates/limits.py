"""What one update of one document may cost: a small request has a small effect."""

from typing import Any, Final

from baas.kernel.http.request import MAX_DEPTH
from baas.kernel.problems import TooLarge
from documents import values
from documents.updates.problems import invalid_update

MAX_WRITTEN: Final = 16 * 1024 * 1024  # characters, over all elements that an update reaches
MAX_TESTS: Final = 5_000_000  # comparisons with elements
# How far behind the end of an array an index may lie: what is between becomes null.
MAX_PADDING: Final = 1500


class Budget:
    def __init__(self) -> None:
        self._written = MAX_WRITTEN
        self._tests = MAX_TESTS

    def write(self, characters: int) -> None:
        """Raises TooLarge `document_too_large` once it is spent."""
        self._written -= characters
        if self._written < 0:
            raise TooLarge(
                "The update would write more than a document can hold: it repeats a long value at"
                " very many elements.",
                code="document_too_large",
            )

    def test(self, comparisons: int) -> None:
        """Raises Invalid `invalid_update` once it is spent."""
        self._tests -= comparisons
        if self._tests < 0:
            raise invalid_update(
                "array_filters", "it would take millions of comparisons: use a simpler condition"
            )


def check_depth(field: str, steps: int, value: Any) -> None:
    """The value may stand `steps` levels below the document. Raises Invalid `invalid_update`."""
    if steps + _depth(value) > MAX_DEPTH:
        raise invalid_update(field[:100], f"the document would nest deeper than {MAX_DEPTH} levels")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while True:
        containers = [each for each in level if isinstance(each, dict | list)]
        if not containers:
            return depth
        depth += 1
        level = [
            inner
            for each in containers
            for inner in (each.values() if isinstance(each, dict) else each)
        ]


def size(value: Any) -> int:
    """Characters of the value as JSON."""
    return len(values.dumps(value))
