"""What a call needs to know of its function: cached per process, forgotten when it changes."""

import hashlib
import random
from dataclasses import dataclass, field

import orjson

from baas.kernel import db
from baas.kernel.config_cache import ConfigCache
from baas.kernel.encryption import DecryptionError
from baas.kernel.problems import NotFound, Unavailable
from functions import vault


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionConfig:
    id: int
    name: str
    aliases: dict[str, dict[int, int]]  # alias → version → relative weight


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionConfig:
    id: int
    function_id: int
    function: str
    number: int
    digest: str
    runtime: str
    handler: str
    signature: str
    timeout_s: float
    memory_mb: int
    max_concurrency: int
    min_instances: int
    isolation: str
    secret_names: list[str]
    invoke_rule: str
    acts_as: str  # caller, service or ""
    egress: list[str]
    state: str
    env: dict[str, str] = field(repr=False)  # with the secrets' values


def _load_function(project_id: int, name: str) -> FunctionConfig | None:
    rows = db.fetch_all(
        "SELECT f.id, a.name, a.weights::text FROM functions_function f"
        " LEFT JOIN functions_alias a ON a.function_id = f.id"
        " WHERE f.project_id = %s AND f.name = %s",
        (project_id, name),
    )
    if not rows:
        return None
    return FunctionConfig(
        id=rows[0][0],
        name=name,
        aliases={
            alias: {int(number): weight for number, weight in orjson.loads(weights).items()}
            for _, alias, weights in rows
            if alias is not None
        },
    )


def _load_version(project_id: int, key: tuple[int, int]) -> VersionConfig | None:
    row = db.fetch_one(
        "SELECT v.id, v.function_id, f.name, v.number, v.digest, v.runtime, v.handler,"
        " v.signature, v.timeout_s, v.memory_mb, v.max_concurrency, v.min_instances, v.isolation,"
        " v.secret_names::text, v.invoke_rule, v.acts_as, v.egress::text, v.state, v.sealed_env"
        " FROM functions_version v JOIN functions_function f ON f.id = v.function_id"
        " WHERE f.project_id = %s AND v.function_id = %s AND v.number = %s",
        (project_id, *key),
    )
    if row is None:
        return None
    secret_names = orjson.loads(row[13])
    try:
        env = vault.open_env(row[1], bytes(row[18])) | vault.reveal(project_id, secret_names)
    except DecryptionError as error:
        raise Unavailable(
            f"The environment of the function cannot be read: {error}", code="secret_unreadable"
        ) from error
    return VersionConfig(
        id=row[0],
        function_id=row[1],
        function=row[2],
        number=row[3],
        digest=row[4],
        runtime=row[5],
        handler=row[6],
        signature=row[7],
        timeout_s=row[8],
        memory_mb=row[9],
        max_concurrency=row[10],
        min_instances=row[11],
        isolation=row[12],
        secret_names=secret_names,
        invoke_rule=row[14],
        acts_as=row[15],
        egress=orjson.loads(row[16]),
        state=row[17],
        env=env,
    )


_functions = ConfigCache("function", _load_function)
_versions = ConfigCache("function-version", _load_version)


def function(project_id: int, name: str) -> FunctionConfig:
    """Raises NotFound `function_not_found`."""
    found = _functions.get(project_id, name)
    if found is None:
        raise NotFound(f"There is no function {name[:70]!r}.", code="function_not_found")
    return found


def version(project_id: int, function_id: int, number: int) -> VersionConfig:
    """Raises NotFound `version_not_found`."""
    found = _versions.get(project_id, (function_id, number))
    if found is None:
        raise NotFound(f"There is no version {number}.", code="version_not_found")
    return found


def choose(
    project_id: int,
    config: FunctionConfig,
    *,
    alias: str = "live",
    number: int | None = None,
    route_key: str | None = None,
) -> VersionConfig:
    """The version that a call goes to: the one named, else one of the alias's by their weights.

    The same `route_key` goes to the same version while the weights stay. Raises NotFound
    `version_not_found` or `alias_not_found`, Unavailable `version_not_ready`.
    """
    if number is None:
        weights = config.aliases.get(alias)
        if weights is None:
            raise NotFound(
                f"The function {config.name!r} has no alias {alias[:70]!r}: deploy it first.",
                code="alias_not_found",
            )
        number = pick(weights, route_key)
    chosen = version(project_id, config.id, number)
    if chosen.state != "ready":
        raise Unavailable(
            f"Version {number} of {config.name!r} is not ready: see its build log.",
            code="version_not_ready",
        )
    return chosen


def pick(weights: dict[int, int], route_key: str | None) -> int:
    """A version, at random by weight, or by the hash of the route key."""
    if len(weights) == 1:
        return next(iter(weights))
    total = sum(weights.values())
    if route_key is None:
        ticket = random.randrange(total)  # noqa: S311 - spreads load, guards nothing
    else:
        hashed = hashlib.blake2b(route_key.encode("utf-8", "replace"), digest_size=8).digest()
        ticket = int.from_bytes(hashed) % total
    for number in sorted(weights):
        ticket -= weights[number]
        if ticket < 0:
            return number
    raise AssertionError("weights are positive")
