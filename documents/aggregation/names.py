"""Names of fields in a pipeline. Pure."""

from typing import Final

MAX_NAME: Final = 1000


def is_plain(name: str) -> bool:
    """Whether it can be the name of one field."""
    return (
        0 < len(name) <= MAX_NAME and not name.startswith("$") and "." not in name
        and "\0" not in name
    )  # fmt: skip
