"""Typed readers of the environment: the only input of the settings.

Each reader names the variable when its value is wrong. `NAME_FILE` names a file that holds the
value of `NAME`, for secrets that must not stand in the environment.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")


def raw(name: str) -> str | None:
    """The variable's text, from `NAME` or from the file that `NAME_FILE` names; None when unset."""
    value = os.environ.get(name)
    if value is not None:
        return value
    path = os.environ.get(f"{name}_FILE")
    if path is None:
        return None
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{name}_FILE names {path}, which cannot be read: {error}"
        ) from error


def _read(name: str, default: T, convert: Callable[[str], T], wanted: str) -> T:
    value = raw(name)
    if value is None or value == "":
        return default
    try:
        return convert(value)
    except (ValueError, KeyError) as error:
        raise ImproperlyConfigured(f"{name}={value!r} is wrong: expected {wanted}") from error


def text(name: str, default: str = "") -> str:
    return _read(name, default, str, "text")


def required(name: str, why: str) -> str:
    value = raw(name)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {why}")
    return value


def integer(name: str, default: int) -> int:
    return _read(name, default, int, "a whole number")


def number(name: str, default: float) -> float:
    return _read(name, default, float, "a number")


def items(name: str, default: list[str]) -> list[str]:
    return _read(name, default, lambda v: [i.strip() for i in v.split(",") if i.strip()], "a,b,c")
