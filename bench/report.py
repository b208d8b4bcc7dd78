"""The table that a benchmark prints, in Markdown: figures with the ratio that means something."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    what: str
    ours: str
    peer: str = ""
    ratio: str = ""


def rate(requests_per_s: float) -> str:
    return f"{requests_per_s:,.0f}/s"


def ms(value: float) -> str:
    return f"{value:.2f} ms"


def heading() -> str:
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores,"
        f" {platform.system()} {platform.release().split('-')[0]}, Python"
        f" {platform.python_version()}"
    )


def table(rows: list[Row]) -> str:
    lines = ["| what | measured | against | ratio |", "|---|---:|---:|---:|"]
    lines += [f"| {row.what} | {row.ours} | {row.peer} | {row.ratio} |" for row in rows]
    return "\n".join(lines)
