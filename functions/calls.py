"""From a version and an input to what the function host needs to run it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from auth import invocations as tokens
from baas.kernel import context
from functions import hosting, packages
from functions.configuration import VersionConfig
from functions.runtypes import RunError, RunResult, RunSpec
from storage.backends import KeyMissing, StoreError

MAX_DEPTH: Final = 8  # runs in a chain of events
# A token outlives the deadline a little: the last call of a function may be on its way.
_TOKEN_GRACE_S: Final = 5.0
# Waiting for room on the host comes before the function's own time.
_START_GRACE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One run that is about to start."""

    invocation_id: str
    project_id: int
    project_slug: str
    version: VersionConfig
    event: bytes  # JSON
    auth: Mapping[str, Any] | None  # whom it acts for; see `acts_as_service`
    acts_as_service: bool
    depth: int  # of the events that it causes
    traceparent: str
    attempt: int = 1


def run(call: Call) -> RunResult:
    """Run it to its end. Never raises for what the function or the host does."""
    version = call.version
    token = tokens.mint(
        call.project_id,
        call.invocation_id,
        "service" if call.acts_as_service else call.auth,
        call.depth,
        time.time() + version.timeout_s + _START_GRACE_S + _TOKEN_GRACE_S,
    )
    spec = RunSpec(
        invocation_id=call.invocation_id,
        project=str(call.project_id),
        project_slug=call.project_slug,
        function=version.function,
        version=version.number,
        digest=version.digest,
        event=call.event,
        handler=version.handler,
        runtime=version.runtime,
        signature=version.signature,
        timeout_s=version.timeout_s,
        memory_mb=version.memory_mb,
        isolation=version.isolation,
        max_concurrency=version.max_concurrency,
        min_instances=version.min_instances,
        env=version.env,
        secret_names=tuple(version.secret_names),
        attempt=call.attempt,
        auth=dict(call.auth) if call.auth is not None else None,
        trace_id=context.trace_id(call.traceparent),
        token=token,
        egress=tuple(version.egress),
    )
    try:
        return hosting.runner().run(spec, lambda: packages.load(call.project_id, version.digest))
    except KeyMissing as error:
        return _not_loaded("load_error", "PackageMissing", f"The package is gone: {error}")
    except StoreError as error:
        return _not_loaded("unavailable", "HostUnavailable", f"No package: {error}")


def _not_loaded(outcome: Any, kind: str, message: str) -> RunResult:
    return RunResult(outcome=outcome, error=RunError(type=kind, message=message))


def never_started(result: RunResult) -> bool:
    """Whether the function surely did not run: trying again is free."""
    if result.outcome == "throttled":
        return True
    lost = result.error is not None and result.error.type == "ConnectionLost"
    return result.outcome == "unavailable" and not lost
