"""The frames of the protocol: what clients send, parsed; what they get, encoded. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeGuard

import orjson

from baas.kernel.problems import FieldError, Invalid, Malformed, Problem, TooLarge, as_dict
from documents.values import parse_body
from realtime.window import Change, Entry

MAX_FRAME_BYTES: Final = 64 * 1024
DEFAULT_LIMIT: Final = 1000
MAX_LIMIT: Final = 5000
_MAX_ID: Final = 128  # characters

FrameId: TypeAlias = str | int

# Close codes: 4000-4999 are the application's (RFC 6455, 7.4.2). In docs/reference/realtime.md.
UNSUPPORTED_DATA: Final = 1003
INTERNAL_ERROR: Final = 1011
TRY_AGAIN: Final = 1013
INVALID_TOKEN: Final = 4401
NOT_FOUND: Final = 4404
TOO_SLOW: Final = 4408


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    id: FrameId


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    id: FrameId
    token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    id: FrameId
    collection: str
    filter: Any  # as sent; documents.query judges it
    sort: Any
    limit: int
    since: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    id: FrameId
    sub: str


Frame: TypeAlias = Ping | Auth | Subscribe | Unsubscribe


class FrameError(Exception):
    """A frame that is refused: `re` is its id, None when it has none."""

    def __init__(self, re: FrameId | None, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.re = re
        self.problem = problem


def parse(text: str) -> Frame:
    """Raises FrameError for what is no frame of the protocol."""
    data = text.encode()
    if len(data) > MAX_FRAME_BYTES:
        raise FrameError(
            None,
            TooLarge(
                f"A frame may have {MAX_FRAME_BYTES} bytes: send a smaller one.",
                code="frame_too_large",
            ),
        )
    try:
        frame = parse_body(data)
    except Problem as problem:
        raise FrameError(None, problem) from problem
    id_ = frame.get("id") if isinstance(frame, dict) else None
    if not _is_id(id_):
        raise FrameError(
            None,
            Malformed(
                "A frame is a JSON object with an `id` (text or a whole number) and an `op`.",
                code="invalid_frame",
            ),
        )
    try:
        return _parse(frame, id_)
    except Problem as problem:
        raise FrameError(id_, problem) from problem


def _is_id(value: Any) -> TypeGuard[FrameId]:
    if isinstance(value, str):
        return len(value) <= _MAX_ID
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _parse(frame: dict[str, Any], id_: FrameId) -> Frame:
    match frame.get("op"):
        case "ping":
            return Ping(id=id_)
        case "auth":
            return Auth(id=id_, token=_text(frame, "token", required=False))
        case "subscribe":
            return _subscribe(frame, id_)
        case "unsubscribe":
            return Unsubscribe(id=id_, sub=_text(frame, "sub") or "")
        case op:
            raise Malformed(
                f"There is no op {str(op)[:40]!r}: use auth, ping, subscribe or unsubscribe.",
                code="unknown_op",
            )


def _subscribe(frame: dict[str, Any], id_: FrameId) -> Subscribe:
    channel = frame.get("channel")
    if channel != "db":
        raise Malformed(
            f"There is no channel {str(channel)[:40]!r} here: subscribe to the channel db.",
            code="unsupported_channel",
        )
    limit = frame.get("limit")
    if limit is None:
        limit = DEFAULT_LIMIT
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise _wrong("limit", f"a whole number of 1 to {MAX_LIMIT}")
    return Subscribe(
        id=id_,
        collection=_text(frame, "collection") or "",
        filter=frame.get("filter"),
        sort=frame.get("sort"),
        limit=limit,
        since=_text(frame, "since", required=False),
    )


def _text(frame: dict[str, Any], name: str, *, required: bool = True) -> str | None:
    value = frame.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str):
        raise _wrong(name, "text")
    return value


def _wrong(field: str, wanted: str) -> Invalid:
    return Invalid(
        f"`{field}` must be {wanted}.",
        code="invalid_frame",
        errors=[FieldError(field, "invalid", f"expected {wanted}")],
    )


def ok(re: FrameId, **members: Any) -> str:
    return orjson.dumps({"re": re, "ok": True, **members}).decode()


def refusal(re: FrameId | None, problem: Problem, request_id: str) -> str:
    return orjson.dumps({"re": re, "problem": as_dict(problem, request_id)}).decode()


def closed(sub: str, problem: Problem, request_id: str) -> str:
    """The subscription ended by the server's will."""
    body = {"sub": sub, "type": "closed", "problem": as_dict(problem, request_id)}
    return orjson.dumps(body).decode()


def reset(sub: str) -> str:
    return f'{{"sub":"{sub}","type":"reset"}}'


def heartbeat(tokens: dict[str, str]) -> str:
    """Sent to silent sockets; `tokens` are newer resume tokens by subscription."""
    return orjson.dumps({"type": "heartbeat", "tokens": tokens}).decode()


def join_docs(entries: Iterable[Entry]) -> str:
    """The documents of a window as the inside of a JSON array."""
    return ",".join([entry.json for entry in entries])


def snapshot_body(docs: str, token: str) -> str:
    """A snapshot frame but for its beginning; see `complete`."""
    return f'"type":"snapshot","docs":[{docs}],"token":"{token}"}}'


def change_body(changes: Iterable[Change], token: str) -> str:
    """A change frame but for its beginning; see `complete`."""
    parts = ",".join([_change(change) for change in changes])
    return f'"type":"change","changes":[{parts}],"token":"{token}"}}'


def complete(sub: str, body: str) -> str:
    """The frame of one subscription: the same text for all that have the same name."""
    return f'{{"sub":"{sub}",{body}'


def _change(change: Change) -> str:
    doc = f',"doc":{change.entry.json}' if change.entry is not None else ""
    return (
        f'{{"op":"{change.op}","id":{orjson.dumps(change.id).decode()}{doc}'
        f',"old_index":{change.old_index},"new_index":{change.new_index}}}'
    )
