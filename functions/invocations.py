"""Calls of functions by clients: run and answered at once, or taken for later."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, LiteralString

import orjson
from django.conf import settings
from django.db import connection

from auth.rules import FUNCTION_ROOTS, compile_rule
from baas.kernel import context, db, ids
from baas.kernel.events.event import rfc3339
from baas.kernel.principals import Principal
from baas.kernel.problems import (
    BadGateway,
    Forbidden,
    GatewayTimeout,
    Invalid,
    NotFound,
    Problem,
    TooMany,
    Unavailable,
)
from baas.kernel.projects import ProjectConfig
from functions import calls, configuration, records
from functions.configuration import VersionConfig
from functions.events import announcements, ledger
from functions.runtypes import RunResult

# Sync calls hold a thread of this process while the function runs; the rest of the data plane,
# what the function itself calls back included, needs the others.
logger = logging.getLogger(__name__)


@cache
def _slots() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(settings.MAX_SYNC_INVOKES)


_GATEWAY: Final = {
    "error": ("function_error", "The function raised an error: see `error` and its logs."),
    "load_error": ("function_load_error", "The function could not be loaded: see its logs."),
    "crashed": ("function_crashed", "The function's process ended while it ran."),
    "out_of_memory": ("function_out_of_memory", "The function needs more than its memory_mb."),
    "invalid_response": ("function_invalid_response", "The function's result is not JSON."),
    "result_too_large": ("function_result_too_large", "The result has more than 6 MiB."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A call that succeeded."""

    invocation_id: str
    version: int
    duration_ms: float
    result: bytes  # JSON


def choose(
    project: ProjectConfig,
    principal: Principal,
    name: str,
    *,
    alias: str,
    number: int | None,
    route_key: str | None,
    client_ip: str,
    is_open: bool = False,
    explain: bool = False,
) -> VersionConfig:
    """The version that a call goes to, if this caller may call it.

    `is_open` is for addresses whose trigger asks for no rule. Raises NotFound, and Forbidden
    `rule_denied`, which tells with `explain` what the rule is and why it refused.
    """
    function = configuration.function(project.id, name)
    version = configuration.choose(
        project.id, function, alias=alias, number=number, route_key=route_key
    )
    if not is_open and not principal.bypasses_rules:
        rule = compile_rule(version.invoke_rule, FUNCTION_ROOTS)
        roots: dict[str, Any] = {"auth": principal.auth, "request": {"ip": client_ip}}
        if not rule.allows(**roots):
            why = rule.explain(**roots)[1] if explain else None
            raise Forbidden(
                f"The rule of the function {name!r} does not let you call it.",
                members={"rule": {"action": "invoke", "source": rule.source, "why": why}}
                if explain
                else None,
            )
    return version


def invoke(
    project: ProjectConfig, principal: Principal, version: VersionConfig, event: bytes
) -> Answer:
    """Run the function now and wait for its result, without holding a database transaction.

    Raises BadGateway and GatewayTimeout `function_…` for what the function did, TooMany over a
    limit, Unavailable without a function host.
    """
    invocation_id = ids.new_id()
    depth = _next_depth(principal)
    traceparent = context.current().traceparent
    began = datetime.now(UTC)
    with _slot():
        result = calls.run(
            calls.Call(
                invocation_id=invocation_id,
                project_id=project.id,
                project_slug=project.slug,
                version=version,
                event=event,
                auth=principal.auth,
                acts_as_service=acts_as_service(version, principal.bypasses_rules),
                depth=depth,
                traceparent=traceparent,
            )
        )
    if not calls.never_started(result):
        _record(
            records.Run(
                invocation_id=invocation_id,
                attempt=1,
                project_id=project.id,
                function_id=version.function_id,
                function=version.function,
                version=version.number,
                origin=principal.identity,
                memory_mb=version.memory_mb,
                created_at=began,
                started_at=began,
                trace_id=context.trace_id(traceparent),
                result=result,
                project_slug=project.slug,
                depth=depth,
                traceparent=traceparent,
            )
        )
    if result.outcome != "ok" or result.result is None:
        raise _problem(result, invocation_id, version.number)
    return Answer(
        invocation_id=invocation_id,
        version=version.number,
        duration_ms=result.duration_ms,
        result=result.result,
    )


def _record(run: records.Run) -> None:
    """Record; the function has run, so its caller gets the answer whether or not this works."""
    for _ in range(2):
        try:
            _write(run)
            return
        except db.CONNECTION_ERRORS as error:
            connection.close()
            logger.warning("run %s is not recorded: %s", run.invocation_id, error)


def _write(run: records.Run) -> None:
    def write() -> set[str]:
        records.record(run)
        return {run.invocation_id}

    announced = announcements.wanted([run], {})
    if announced:
        announcements.with_events(write, announced)
    else:
        write()


def acts_as_service(version: VersionConfig, bypasses_rules: bool) -> bool:
    """Whether `context.baas` is above the rules in a direct call."""
    return version.acts_as == "service" or bypasses_rules


def queue(
    project: ProjectConfig,
    principal: Principal,
    version: VersionConfig,
    event: bytes,
    *,
    alias: str,
    number: int | None,
) -> str:
    """Take the call for later; returns its invocation id once it is durably stored."""
    return ledger.accept_call(
        project_id=project.id,
        function_id=version.function_id,
        function=version.function,
        alias=alias,
        version=number,
        origin=principal.identity,
        payload=event,
        caller=principal.auth,
        bypasses_rules=principal.bypasses_rules,
        depth=_next_depth(principal),
        traceparent=context.current().traceparent,
    )


def _next_depth(principal: Principal) -> int:
    depth = principal.depth + 1
    if depth > calls.MAX_DEPTH:
        raise Invalid(
            f"This call is the {depth}th in a chain of functions: at most {calls.MAX_DEPTH} may"
            " follow from one another.",
            code="depth_exceeded",
        )
    return depth


@contextmanager
def _slot() -> Iterator[None]:
    if not _slots().acquire(blocking=False):
        raise TooMany(
            "This server runs as many functions for waiting callers as it may: try again, or send"
            " Prefer: respond-async.",
            code="too_many_invocations",
        )
    try:
        yield
    finally:
        _slots().release()


def _problem(result: RunResult, invocation_id: str, version: int) -> Problem:
    error = records.error_of(result)
    problem: Problem
    match result.outcome:
        case "timeout":
            problem = GatewayTimeout(
                "The function did not end within its timeout_s.", code="function_timeout"
            )
        case "throttled":
            problem = TooMany(
                "The function runs as often at once as its max_concurrency allows: try again.",
                code="function_throttled",
            )
        case "unavailable":
            detail = error["message"] if error else "no answer"
            problem = Unavailable(
                f"The function host is out of reach: {detail}", code="function_host_unavailable"
            )
        case outcome:
            code, detail = _GATEWAY[outcome]
            problem = BadGateway(detail, code=code)
    if error is not None:
        problem.members["error"] = error
    problem.members["invocation_id"] = invocation_id
    problem.headers |= {"X-Invocation-Id": invocation_id, "X-Function-Version": str(version)}
    return problem


# See `describe_run`.
RUN_COLUMNS: Final[LiteralString] = (
    "function, origin, version, outcome, result, error::text, created_at, started_at, duration_ms,"
    " billed_ms, max_memory_mb, cold, attempt, trace_id"
)


def find(project: ProjectConfig, principal: Principal, invocation_id: str) -> dict[str, Any]:
    """An invocation: of a delivery its latest attempt. Raises NotFound `invocation_not_found`.

    Privileged callers see all, others the calls that they made themselves.
    """
    delivery = db.fetch_one(
        "SELECT state, function, origin, created_at, attempts, traceparent, errors::text, version"
        " FROM functions_delivery WHERE id = %s AND project_id = %s",
        (invocation_id, project.id),
    )
    run = db.fetch_one(
        f"SELECT {RUN_COLUMNS}"  # noqa: S608 - a constant
        " FROM functions_invocation WHERE id = %s AND project_id = %s"
        " ORDER BY started_at DESC LIMIT 1",
        (invocation_id, project.id),
    )
    origin = delivery[2] if delivery else run[1] if run else None
    if origin is None or not (principal.is_privileged or origin == principal.identity):
        raise NotFound(
            f"There is no invocation {invocation_id[:40]!r}.", code="invocation_not_found"
        )
    shown: dict[str, Any] = {"id": invocation_id}
    if run:
        shown |= describe_run(run)
    if delivery:
        shown |= _describe_delivery(delivery)
    return shown


def describe_run(run: db.Row) -> dict[str, Any]:
    """A row that begins with RUN_COLUMNS, on the wire."""
    shown = {
        "function": run[0],
        "version": run[2],
        "state": "succeeded" if run[3] == "ok" else "failed",
        "outcome": run[3],
        "created_at": rfc3339(run[6]),
        "started_at": rfc3339(run[7]),
        "duration_ms": run[8],
        "billed_ms": run[9],
        "max_memory_mb": run[10],
        "cold": run[11],
        "attempt": run[12],
        "trace_id": run[13],
    }
    if run[4] is not None:
        shown["result"] = orjson.Fragment(run[4])
    if run[5] is not None:
        shown["error"] = orjson.loads(run[5])
    return shown


_STATES: Final = {"pending": "queued"}


def _describe_delivery(row: db.Row) -> Mapping[str, Any]:
    state, function, _, created_at, attempts, traceparent, errors, version = row
    shown: dict[str, Any] = {
        "function": function,
        "state": _STATES.get(state, state),
        "created_at": rfc3339(created_at),
        "attempt": attempts,
        "trace_id": context.trace_id(traceparent),
    }
    if version is not None:
        shown["version"] = version
    if errors is not None and state != "succeeded":
        last = orjson.loads(errors)[-1]
        shown["error"] = {"type": last["type"], "message": last["message"]}
    return shown
