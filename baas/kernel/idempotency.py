"""Idempotency-Key: a repeated write gets the first reply again instead of being done twice.

Source: draft-ietf-httpapi-idempotency-key-header. One advisory lock per (caller, path, key) makes
a parallel repeat wait; the database frees it when its connection dies, so kill -9 leaves nothing
behind. For "atomic" routes the reply commits together with the write: there is no moment in which
one is stored without the other.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal

import orjson
from django.db import transaction

from baas.kernel import db, encryption, locks
from baas.kernel.http.request import Response
from baas.kernel.problems import Conflict, Invalid, Malformed, Problem

MAX_KEY: Final = 255
WAIT_S: Final = 10
_HOURS: Final = 24
# Replies may hold tokens or keys that are shown once: they are not kept in clear.
_CONTEXT: Final = "first reply"
# (scope, hash of the body) of the call that is being served.
_kept: ContextVar[tuple[bytes, bytes] | None] = ContextVar("baas_idempotency", default=None)


def run(
    *,
    key: str,
    identity: str,
    project_id: int,
    method: str,
    path: str,
    body: bytes,
    mode: Literal["atomic", "after", "inside"],
    handle: Callable[[], Response],
    render: Callable[[Problem], Response],
) -> Response:
    """The first reply to this key, or `handle()`'s, stored for the next time.

    Refusals (4xx) are stored too; failures (5xx, 429) are not, so they can be tried again, nor is
    401, so that nobody fills the table without being anybody.
    Raises Conflict `idempotency_in_progress` when the first call takes longer than 10 s, and
    Invalid `idempotency_key_reused` when the key came with another body.
    """
    check_key(key)
    scope = hashlib.blake2b(
        orjson.dumps([project_id, identity, method, path, key]), digest_size=32
    ).digest()
    body_hash = hashlib.blake2b(body, digest_size=32).digest()
    with locks.held(int.from_bytes(scope[:8], signed=True), wait_s=WAIT_S, busy=_in_progress):
        stored = _stored(scope, body_hash)
        if stored is not None:
            return stored
        if mode != "atomic":
            with _keeping(scope, body_hash):
                response = _answer(handle, render)
            _store(scope, body_hash, response)
            return response
        with transaction.atomic():
            try:
                with transaction.atomic():
                    response = handle()
            except Problem as problem:
                response = render(problem)
            _store(scope, body_hash, response)
        return response


def check_key(key: str) -> None:
    """Raises Malformed `invalid_idempotency_key`."""
    if not 1 <= len(key) <= MAX_KEY or not key.isprintable():
        raise Malformed(
            f"Idempotency-Key must have 1 to {MAX_KEY} printable characters.",
            code="invalid_idempotency_key",
        )


def key_reused() -> Invalid:
    return Invalid(
        "This Idempotency-Key was used with another body: use a new key for a new request.",
        code="idempotency_key_reused",
    )


def _in_progress() -> Conflict:
    return Conflict(
        "The first call with this Idempotency-Key is still running: try again later.",
        code="idempotency_in_progress",
    )


@contextmanager
def _keeping(scope: bytes, body_hash: bytes) -> Iterator[None]:
    token = _kept.set((scope, body_hash))
    try:
        yield
    finally:
        _kept.reset(token)


def keep(response: Response) -> None:
    """For handlers that open their own transaction ("inside"): the reply commits with it.

    Nothing happens when the request has no key.
    """
    kept = _kept.get()
    if kept is not None:
        _store(*kept, response)


def _answer(handle: Callable[[], Response], render: Callable[[Problem], Response]) -> Response:
    try:
        return handle()
    except Problem as problem:
        return render(problem)


def _stored(scope: bytes, body_hash: bytes) -> Response | None:
    row = db.fetch_one(
        "SELECT body_hash, status, headers::text, body FROM kernel_firstreply"
        " WHERE scope = %s AND created_at > now() - make_interval(hours => %s)",
        (scope, _HOURS),
    )
    if row is None:
        return None
    if bytes(row[0]) != body_hash:
        raise key_reused()
    headers = [(name, value) for name, value in orjson.loads(row[2])]
    headers.append(("Idempotency-Replayed", "true"))
    body = encryption.decrypt(bytes(row[3]), _CONTEXT)
    return Response(row[1], body, headers, content_type=None)


def _store(scope: bytes, body_hash: bytes, response: Response) -> None:
    if response.status >= 500 or response.status in (401, 429):
        return
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    response.body = body
    db.execute(
        "INSERT INTO kernel_firstreply (scope, body_hash, status, headers, body, created_at)"
        " VALUES (%s, %s, %s, %s, %s, now()) ON CONFLICT (scope) DO UPDATE SET"
        " body_hash = excluded.body_hash, status = excluded.status, headers = excluded.headers,"
        " body = excluded.body, created_at = excluded.created_at",
        (
            scope,
            body_hash,
            response.status,
            orjson.dumps(response.headers).decode(),
            encryption.encrypt(body, _CONTEXT),
        ),
    )


def sweep() -> int:
    """Drop replies older than 24 hours; returns how many."""
    return db.execute(
        "DELETE FROM kernel_firstreply WHERE created_at <= now() - make_interval(hours => %s)",
        (_HOURS,),
    ).rowcount
