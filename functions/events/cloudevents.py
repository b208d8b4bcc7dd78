"""Custom events on their way in: the CloudEvents 1.0 HTTP binding. Pure.

Sources: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md and
bindings/http-protocol-binding.md (binary, structured and batched content mode).
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote

import orjson

from baas.kernel.http.request import parse_json
from baas.kernel.problems import FieldError, Invalid, Malformed, UnsupportedMediaType

STRUCTURED: Final = "application/cloudevents+json"
BATCHED: Final = "application/cloudevents-batch+json"
MAX_BATCH: Final = 500
MAX_ATTRIBUTE: Final = 1024  # characters
MAX_AHEAD: Final = timedelta(days=1)  # how wrong a publisher's clock may be
RESERVED_TYPES: Final = "baas."  # prefix of what only the platform announces
# Attributes with a place of their own; all others are extensions.
_KNOWN: Final = frozenset(
    (
        *("specversion", "id", "source", "type", "subject", "time"),
        *("datacontenttype", "dataschema", "data", "data_base64"),
    )
)
# What the platform itself says of an event; a publisher's word would be a lie.
_OURS: Final = frozenset({"project", "depth"})
_NAME: Final = re.compile(r"[a-z0-9]{1,20}")
_TYPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomEvent:
    """One event as its publisher sent it, valid."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime | None
    data: bytes  # JSON
    partition_key: str | None = None
    traceparent: str | None = None
    extensions: dict[str, Any] = field(default_factory=dict)


def read(content_type: str | None, headers: Mapping[str, str], body: bytes) -> list[CustomEvent]:
    """The events of one request; `headers` are those named `ce-…`, without that prefix.

    Raises Malformed, UnsupportedMediaType and Invalid, naming what is wrong.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type == BATCHED:
        events = parse_json(body)
        if not isinstance(events, list):
            raise Malformed("A batch is a JSON array of events.")
        if len(events) > MAX_BATCH:
            raise Invalid(
                f"A batch has at most {MAX_BATCH} events.",
                code="batch_too_large",
                errors=[FieldError("", "too_many", f"at most {MAX_BATCH}")],
            )
        return [_structured(event, f"[{index}].") for index, event in enumerate(events)]
    if media_type == STRUCTURED or ("specversion" not in headers and "type" not in headers):
        if media_type not in (STRUCTURED, "application/json", ""):
            raise UnsupportedMediaType(
                f"Send {STRUCTURED}, {BATCHED}, or ce-… headers with a JSON body."
            )
        return [_structured(parse_json(body), "")]
    return [_binary(media_type, headers, body)]


def _structured(event: Any, where: str) -> CustomEvent:
    if not isinstance(event, dict):
        raise Malformed("An event is a JSON object.")
    if "data_base64" in event:
        if "data" in event:
            raise _invalid(where + "data_base64", "either data or data_base64")
        data = _from_base64(event["data_base64"], event.get("datacontenttype"), where)
    else:
        data = orjson.dumps(event.get("data"))
    return _event(event, data, where)


def _from_base64(text: Any, media_type: Any, where: str) -> bytes:
    _require_json(media_type)
    try:
        data = b64decode(text, validate=True)
    except (Base64Error, ValueError, TypeError) as error:
        raise _invalid(where + "data_base64", "Base64") from error
    parse_json(data)
    return data


def _binary(media_type: str, headers: Mapping[str, str], body: bytes) -> CustomEvent:
    if body:
        _require_json(media_type or None)
        parse_json(body)
    # Header values are percent-encoded where they are not printable ASCII.
    attributes = {name: unquote(value, errors="replace") for name, value in headers.items()}
    return _event(attributes, body or b"null", "ce-")


def _require_json(media_type: Any) -> None:
    if media_type is None:
        return
    base = str(media_type).partition(";")[0].strip().lower()
    if base != "application/json" and not base.endswith("+json"):
        raise UnsupportedMediaType(
            "The data of events must be JSON (datacontenttype application/json)."
        )


def _event(attributes: Mapping[str, Any], data: bytes, where: str) -> CustomEvent:
    if attributes.get("specversion") != "1.0":
        raise _invalid(where + "specversion", "1.0")
    _require_json(attributes.get("datacontenttype"))
    kind = _text(attributes, "type", where)
    if not _TYPE.fullmatch(kind):
        raise _invalid(where + "type", "letters, digits, '.', '_', '/' and '-'")
    if kind.startswith(RESERVED_TYPES):
        raise Invalid(
            f"Types that start with {RESERVED_TYPES!r} are the platform's own: choose another.",
            code="reserved_event_type",
            errors=[FieldError(where + "type", "reserved", RESERVED_TYPES)],
        )
    extensions = {}
    for name, value in attributes.items():
        if name in _KNOWN or name in _OURS:
            continue
        if not _NAME.fullmatch(name):
            raise _invalid(where + name[:70], "1 to 20 of a-z and 0-9 in an attribute's name")
        if value is not None:
            extensions[name] = _extension(value, where + name)
    partition_key = extensions.pop("partitionkey", None)
    traceparent = extensions.pop("traceparent", None)
    return CustomEvent(
        id=_text(attributes, "id", where),
        source=_text(attributes, "source", where),
        type=kind,
        subject=_text(attributes, "subject", where, default=""),
        time=_time(attributes.get("time"), where),
        data=data,
        partition_key=str(partition_key) if partition_key is not None else None,
        traceparent=str(traceparent) if traceparent is not None else None,
        extensions=extensions,
    )


def _text(attributes: Mapping[str, Any], name: str, where: str, default: str | None = None) -> str:
    value = attributes.get(name, default)
    if value is None:
        value = default
    if not isinstance(value, str) or len(value) > MAX_ATTRIBUTE or "\0" in value:
        raise _invalid(where + name, f"text of 1 to {MAX_ATTRIBUTE} characters")
    if not value and default is None:
        raise _invalid(where + name, f"text of 1 to {MAX_ATTRIBUTE} characters")
    return value


def _extension(value: Any, name: str) -> bool | int | str:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and -(2**31) <= value < 2**31:
        return value
    if isinstance(value, str) and len(value) <= MAX_ATTRIBUTE and "\0" not in value:
        return value
    raise _invalid(name, "a boolean, a 32-bit integer or text")


def _time(value: Any, where: str) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise _invalid(where + "time", "an RFC 3339 time with its zone")
        moment = moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise _invalid(where + "time", "an RFC 3339 time") from error
    if moment > datetime.now(UTC) + MAX_AHEAD:
        # The log is cut into days, made some days ahead: an event that lies in a day to come would
        # keep that day from being made, for all projects.
        raise _invalid(where + "time", "a time that has come")
    return moment


def _invalid(name: str, wanted: str) -> Invalid:
    return Invalid(
        f"The event's `{name}` is not valid: expected {wanted}.",
        code="invalid_event",
        errors=[FieldError(name, "invalid", wanted)],
    )
