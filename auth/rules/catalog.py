"""The functions of the language: how they are called and how many arguments they take."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

DATE_PARTS: Final = (
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
)

MACROS: Final = frozenset({"all", "exists", "exists_one", "map", "filter"})

# name -> arguments, the receiver counted
RECEIVER_FUNCTIONS: Final = MappingProxyType(
    {
        "size": 1,
        "startsWith": 2,
        "endsWith": 2,
        "contains": 2,
        "matches": 2,
        "split": 2,
        "lowerAscii": 1,
        "upperAscii": 1,
        **dict.fromkeys(DATE_PARTS, 1),
    }
)
GLOBAL_FUNCTIONS: Final = MappingProxyType(
    {
        "size": 1,
        "matches": 2,
        "int": 1,
        "uint": 1,
        "double": 1,
        "string": 1,
        "bool": 1,
        "bytes": 1,
        "dyn": 1,
        "timestamp": 1,
        "duration": 1,
    }
)
