"""Names of fields and of variables in a pipeline. Pure."""

import re
from typing import Final

# As MongoDB's: a letter in lower case first (or one beyond ASCII), since capitals are its own.
_VARIABLE: Final = re.compile(r"[a-z\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]{0,99}")
MAX_NAME: Final = 1000


def is_plain(name: str) -> bool:
    """Whether it can be the name of one field."""
    return (
        0 < len(name) <= MAX_NAME and not name.startswith("$") and "." not in name
        and "\0" not in name
    )  # fmt: skip


def is_variable(name: str) -> bool:
    return _VARIABLE.fullmatch(name) is not None and "\0" not in name
