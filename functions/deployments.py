"""New versions of functions, and which of them the aliases name."""

import re
import sys
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import transaction

from auth.rules import FUNCTION_ROOTS, RuleError, compile_rule
from baas.kernel import config_cache
from baas.kernel.events.event import rfc3339
from baas.kernel.problems import Conflict, FieldError, Invalid, NotFound, Unavailable
from functions import hosting, packages, vault
from functions.models import Alias, Function, Trigger, Version
from functions.runner import HostUnreachableError
from functions.runtypes import InspectResult, RunSpec

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
ALIAS: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
HANDLER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")
LIVE: Final = "live"
PYTHON: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
# What is asked for → what is installed. The host runs the interpreter that we run.
RUNTIMES: Final = {"python3": PYTHON, PYTHON: PYTHON}
_HANDLERS: Final = {"nodejs": "index.main"}  # where deployments name none; else main.handler
MAX_BUILD_LOG: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is to become a version: validated by itself, not yet against the project."""

    package: bytes
    runtime: str = "python3"
    handler: str = "main.handler"
    signature: str = "event"
    timeout_s: float = 10.0
    memory_mb: int = 128
    max_concurrency: int = 10
    min_instances: int = 0
    isolation: str = "persist"
    env: dict[str, str] = field(default_factory=dict, repr=False)
    secrets: list[str] = field(default_factory=list)
    invoke_rule: str = "closed"
    acts_as: str = ""
    egress: list[str] = field(default_factory=list)
    publish: bool = True


def deploy(project_id: int, slug: str, name: str, wanted: Deployment) -> dict[str, Any]:
    """Check the package in a sandbox, keep it durably, and make it the next version.

    A package that does not load becomes a version in the state `failed`, with its build log; no
    alias moves. Raises Invalid (`runtime_not_available`, `handler_not_found`, `package_rejected`
    …) and TooLarge without making a version, Unavailable when the host or the store is.
    """
    _require_name(name, NAME, "name", "a-z, 0-9 and -, a letter first, at most 63 characters")
    runtime = _exact_runtime(wanted.runtime)
    _check(project_id, wanted)
    packages.require_size(wanted.package)
    digest = packages.digest(wanted.package)
    inspected = _inspect(project_id, slug, name, wanted, runtime, digest)
    if inspected.outcome == "ok":
        state = "ready"
    elif inspected.outcome == "load_error":
        state = "failed"
    else:
        raise _refusal(inspected, wanted)
    packages.store(project_id, digest, wanted.package)
    return _make_version(project_id, name, wanted, runtime, digest, state, inspected)


def _require_name(name: str, pattern: re.Pattern[str], where: str, wanted: str) -> None:
    if not pattern.fullmatch(name):
        raise Invalid(
            f"{name[:70]!r} is no valid name: use {wanted}.",
            errors=[FieldError(where, "invalid", wanted)],
        )


def usual_handler(runtime: str) -> str:
    """The handler of a deployment that names none."""
    return _HANDLERS.get(runtime.rstrip("0123456789"), "main.handler")


def _installed(runtime: str) -> dict[str, str]:
    """What is asked for → what is installed; the host is asked for all that is not Python."""
    if runtime in RUNTIMES:
        return RUNTIMES
    try:
        found = hosting.runner().status().get("runtimes", {})
    except HostUnreachableError as error:
        raise Unavailable(
            f"The function host, which knows the runtimes, does not answer: {error}",
            code="function_host_unavailable",
        ) from error
    return {**found, **RUNTIMES}


def _exact_runtime(runtime: str) -> str:
    installed = _installed(runtime)
    exact = installed.get(runtime)
    if exact is None:
        available = sorted(set(installed))
        raise Invalid(
            f"The runtime {runtime[:40]!r} is not available here. There are: "
            + ", ".join(available)
            + ".",
            code="runtime_not_available",
            errors=[FieldError("runtime", "not_available", ", ".join(available))],
            members={"available": available},
        )
    return exact


def _check(project_id: int, wanted: Deployment) -> None:
    if not HANDLER.fullmatch(wanted.handler):
        raise Invalid(
            "`handler` names a module and a function in it, such as main.handler.",
            code="handler_not_found",
            errors=[FieldError("handler", "invalid", "module.function")],
        )
    try:
        compile_rule(wanted.invoke_rule, FUNCTION_ROOTS)
    except RuleError as error:
        raise Invalid(
            f"`rules.invoke` cannot be accepted: {error}",
            code="invalid_rule",
            errors=[FieldError("rules.invoke", "invalid_rule", str(error))],
        ) from error
    for key in wanted.env:
        vault.require_name(key, f"env.{key[:140]}")
    for missing in vault.missing(project_id, wanted.secrets):
        raise Invalid(
            f"There is no secret {missing[:140]!r} in this project: put it before you deploy.",
            code="secret_not_found",
            errors=[FieldError("secrets", "not_found", missing[:140])],
        )


def _inspect(
    project_id: int, slug: str, name: str, wanted: Deployment, runtime: str, digest: str
) -> InspectResult:
    return hosting.runner().inspect(
        RunSpec(
            invocation_id="inspect",
            project=str(project_id),
            project_slug=slug,
            function=name,
            version=0,
            digest=digest,
            event=b"null",
            runtime=runtime,
            handler=wanted.handler,
            signature=wanted.signature,
            timeout_s=wanted.timeout_s,
            memory_mb=wanted.memory_mb,
            env={**wanted.env, **vault.reveal(project_id, wanted.secrets)},
            secret_names=tuple(wanted.secrets),
            egress=tuple(wanted.egress),
        ),
        wanted.package,
    )


def _refusal(inspected: InspectResult, wanted: Deployment) -> Invalid | Unavailable:
    match inspected.outcome:
        case "handler_not_found":
            return Invalid(
                f"The package has no handler {wanted.handler!r}. {inspected.detail}".strip(),
                code="handler_not_found",
                errors=[FieldError("handler", "not_found", inspected.detail)],
            )
        case "package_rejected":
            return packages.rejected(inspected.detail)
        case "unsupported":
            return Invalid(inspected.detail, code="not_supported")
    return Unavailable(
        f"The package could not be checked: {inspected.detail}", code="function_host_unavailable"
    )


def _make_version(
    project_id: int,
    name: str,
    wanted: Deployment,
    runtime: str,
    digest: str,
    state: str,
    inspected: InspectResult,
) -> dict[str, Any]:
    log = "\n".join([*(line.message for line in inspected.logs), inspected.detail]).strip()
    with transaction.atomic():
        Function.objects.get_or_create(project_id=project_id, name=name)
        function = Function.objects.select_for_update().get(project_id=project_id, name=name)
        function.last_version += 1
        function.save(update_fields=["last_version"])
        version = Version.objects.create(
            function=function,
            number=function.last_version,
            digest=digest,
            runtime=runtime,
            handler=wanted.handler,
            signature=wanted.signature,
            timeout_s=wanted.timeout_s,
            memory_mb=wanted.memory_mb,
            max_concurrency=wanted.max_concurrency,
            min_instances=wanted.min_instances,
            isolation=wanted.isolation,
            sealed_env=vault.seal_env(function.id, wanted.env),
            secret_names=wanted.secrets,
            invoke_rule=wanted.invoke_rule,
            acts_as=wanted.acts_as,
            egress=wanted.egress,
            state=state,
            build_log=log[:MAX_BUILD_LOG].replace("\0", "\N{REPLACEMENT CHARACTER}"),
        )
        if state == "ready" and wanted.publish:
            Alias.objects.update_or_create(
                function=function, name=LIVE, defaults={"weights": {str(version.number): 100}}
            )
        config_cache.changed(project_id)
    return describe_version(function, version)


def describe_version(function: Function, version: Version) -> dict[str, Any]:
    """The version's object on the wire; the names of its variables, never their values."""
    shown: dict[str, Any] = {
        "name": function.name,
        "version": version.number,
        "digest": version.digest,
        "runtime": version.runtime,
        "state": version.state,
        "handler": version.handler,
        "signature": version.signature,
        "timeout_s": version.timeout_s,
        "memory_mb": version.memory_mb,
        "max_concurrency": version.max_concurrency,
        "min_instances": version.min_instances,
        "isolation": version.isolation,
        "env": sorted(vault.open_env(function.id, bytes(version.sealed_env))),
        "secrets": version.secret_names,
        "rules": {"invoke": version.invoke_rule},
        "as": version.acts_as or None,
        "egress": version.egress,
        "created_at": rfc3339(version.created_at),
    }
    if version.build_log:
        shown["build_log"] = version.build_log
    return shown


def get(project_id: int, name: str) -> Function:
    """Raises NotFound `function_not_found`."""
    try:
        return Function.objects.get(project_id=project_id, name=name)
    except Function.DoesNotExist as error:
        raise NotFound(f"There is no function {name[:70]!r}.", code="function_not_found") from error


def describe(function: Function) -> dict[str, Any]:
    """The live version (the newest while none is live) with the aliases."""
    aliases = {alias.name: alias.weights for alias in function.aliases.all()}
    live = aliases.get(LIVE)
    if live:
        number = int(max(live, key=lambda number: (live[number], int(number))))
    else:
        number = function.last_version
    version = function.versions.get(number=number)
    return {**describe_version(function, version), "aliases": aliases}


def set_alias(function: Function, alias: str, weights: dict[str, int]) -> dict[str, Any]:
    """Point an alias at versions, by relative weights. Raises Invalid for a bad one."""
    _require_name(alias, ALIAS, "alias", "a-z, 0-9, - and _, a letter first")
    ready = {
        str(number)
        for number in function.versions.filter(state="ready").values_list("number", flat=True)
    }
    for number in weights:
        if number not in ready:
            raise Invalid(
                f"Version {number[:20]!r} does not exist or is not ready.",
                code="version_not_ready",
                errors=[FieldError(f"weights.{number[:20]}", "not_ready", "no such ready version")],
            )
    weights = {number: weight for number, weight in weights.items() if weight}
    if not weights:
        raise Invalid(
            "At least one version needs a weight above 0.",
            errors=[FieldError("weights", "empty", "no weight above 0")],
        )
    with transaction.atomic():
        Alias.objects.update_or_create(function=function, name=alias, defaults={"weights": weights})
        config_cache.changed(function.project_id)
    return {"alias": alias, "weights": weights}


def rollback(function: Function, alias: str, version: int | None) -> dict[str, Any]:
    """Point an alias wholly at one version: the one given, or the ready one before.

    Raises NotFound `alias_not_found`, Conflict `no_version_before`.
    """
    row = function.aliases.filter(name=alias).first()
    if row is None:
        raise NotFound(f"There is no alias {alias[:70]!r}.", code="alias_not_found")
    if version is None:
        current = min(int(number) for number in row.weights)
        before = (
            function.versions.filter(state="ready", number__lt=current).order_by("-number").first()
        )
        if before is None:
            raise Conflict(
                f"There is no ready version before version {current}.", code="no_version_before"
            )
        version = before.number
    return set_alias(function, alias, {str(version): 100})


def delete(function: Function) -> None:
    """Remove the function with its versions and aliases; its records stay until they are old.

    Raises Conflict `function_in_use` while triggers point at it.
    """
    with transaction.atomic():
        locked = Function.objects.select_for_update().get(id=function.id)
        triggers = list(
            Trigger.objects.filter(function=locked).order_by("name").values_list("name", flat=True)
        )
        if triggers:
            raise Conflict(
                "Triggers point at this function: delete them first: " + ", ".join(triggers[:20]),
                code="function_in_use",
                members={"triggers": triggers},
            )
        locked.delete()
        config_cache.changed(function.project_id)
