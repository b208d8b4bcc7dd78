"""The values that cross between the product and the function host. Imports nothing of ours."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

Outcome = Literal[
    "ok",
    "error",  # the handler raised
    "load_error",  # the package could not be imported
    "crashed",  # the process exited or was killed by its own doing
    "timeout",
    "out_of_memory",
    "invalid_response",  # the result is not JSON
    "result_too_large",
    "throttled",  # over max_concurrency or no room on this node: it did not start
    "unavailable",  # the host is down, broken or cannot isolate: see `error`
]
InspectOutcome = Literal[
    "ok", "handler_not_found", "load_error", "package_rejected", "unsupported", "unavailable"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSpec:
    """One invocation, complete: the host looks nothing up."""

    invocation_id: str
    project: str  # id; keys isolation and the code cache: 1-64 of A-Z a-z 0-9 _ -
    project_slug: str  # the only path beneath which `context.baas` may speak
    function: str
    version: int
    digest: str  # SHA-256 of the package zip, hex
    event: bytes  # JSON
    handler: str = "main.handler"
    runtime: str = "python3"
    signature: str = "event"
    timeout_s: float = 10.0
    memory_mb: int = 128
    isolation: str = "persist"  # or "per-call"
    max_concurrency: int = 10
    min_instances: int = 0
    env: dict[str, str] = field(default_factory=dict)  # secrets included
    secret_names: tuple[str, ...] = ()  # members of env that are redacted from logs and errors
    attempt: int = 1
    auth: dict[str, Any] | None = None
    trace_id: str = ""
    token: str = ""  # used by the host for `context.baas`; never enters the sandbox
    egress: tuple[str, ...] = ()

    def to_wire(self) -> tuple[dict[str, Any], bytes]:
        """Return the frame header and body of this spec."""
        header = {name: getattr(self, name) for name in _SPEC_HEADER}
        return header, self.event

    @classmethod
    def from_wire(cls, header: dict[str, Any], body: bytes) -> Self:
        """Undo to_wire; KeyError or TypeError for a header of another make."""
        known = {name: header[name] for name in _SPEC_HEADER}
        known["secret_names"] = tuple(known["secret_names"])
        known["egress"] = tuple(known["egress"])
        return cls(event=body, **known)


_SPEC_HEADER = tuple(item.name for item in fields(RunSpec) if item.name != "event")


@dataclass(frozen=True, kw_only=True, slots=True)
class LogItem:
    """One line of a function's output."""

    time: str  # RFC 3339 UTC with milliseconds, by the host's clock
    level: str  # debug, info, warning or error
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunError:
    """Why an invocation did not succeed."""

    type: str  # the exception's class, or a class-like name given by the host
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """What came of one invocation. Figures are measured outside the sandbox."""

    outcome: Outcome
    result: bytes | None = None  # JSON, only when outcome is ok
    error: RunError | None = None
    logs: tuple[LogItem, ...] = ()
    duration_ms: float = 0.0  # the handler's wall time
    billed_ms: int = 0  # whole milliseconds, loading included on a cold start
    max_memory_mb: int = 0
    cold: bool = False

    def to_wire(self) -> tuple[dict[str, Any], bytes]:
        """Return the frame header and body of this result."""
        error = self.error and {"type": self.error.type, "message": self.error.message}
        header = {
            "outcome": self.outcome,
            "error": error,
            "logs": [(item.time, item.level, item.message) for item in self.logs],
            "duration_ms": self.duration_ms,
            "billed_ms": self.billed_ms,
            "max_memory_mb": self.max_memory_mb,
            "cold": self.cold,
        }
        return header, self.result or b""

    @classmethod
    def from_wire(cls, header: dict[str, Any], body: bytes) -> Self:
        """Undo to_wire."""
        error = header["error"]
        return cls(
            outcome=header["outcome"],
            result=body if header["outcome"] == "ok" else None,
            error=RunError(**error) if error else None,
            logs=log_items(header["logs"]),
            duration_ms=header["duration_ms"],
            billed_ms=header["billed_ms"],
            max_memory_mb=header["max_memory_mb"],
            cold=header["cold"],
        )


def log_items(rows: list[tuple[str, str, str]]) -> tuple[LogItem, ...]:
    """Log items from their wire form."""
    return tuple(LogItem(time=time, level=level, message=text) for time, level, text in rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class InspectResult:
    """Whether a package may become a version."""

    outcome: InspectOutcome
    detail: str = ""  # a sentence that says what to do
    logs: tuple[LogItem, ...] = ()  # what the package printed while it was loaded
