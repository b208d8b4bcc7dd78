"""One imported document: from its JSON text to what is stored, or the problem with it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from baas.kernel import ids
from baas.kernel.problems import FieldError, Invalid
from documents import checks, dates, values, wire
from documents.schemas import Validator
from documents.transfer.extended_json import from_extended, needs_translation

_MAX_VERSION: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """System fields that the document did not bring are None."""

    id: str
    doc: str  # the user's fields as JSON text
    owner: str | None
    has_owner: bool
    version: int | None
    created_at: str | None  # RFC 3339
    updated_at: str | None
    number: int  # the first document of the upload is 1
    end: int  # offset in the upload behind it


def parse(text: bytes) -> tuple[str | None, Any]:
    """(collection, document) of a line of our export; (None, None) for the line that ends it.

    Raises Invalid `invalid_line`, Malformed.
    """
    line = values.parse_body(text)
    if isinstance(line, dict):
        if line.keys() == {"collection", "document"} and isinstance(line["collection"], str):
            return line["collection"], line["document"]
        if line.keys() == {"end"}:
            return None, None
    raise Invalid(
        'A line is {"collection": …, "document": …}; name the collection in the address for lines'
        " that are the documents themselves.",
        code="invalid_line",
    )


def item(document: Any, text: bytes, number: int, end: int, validator: Validator | None) -> Item:
    """Raises Invalid or TooLarge for what cannot be stored. `text` is what it was parsed from."""
    if not isinstance(document, dict):
        raise values.invalid_value("", "a document is a JSON object")
    is_plain = values.is_plain(text)
    if not is_plain and needs_translation(text):
        document = from_extended(document)
    id = document.get("_id")
    if isinstance(id, dict):
        id = values.normalise(id, "_id")
    if id is None:
        id = ids.new_id()
    else:
        checks.check_id(id)
    fields = wire.user_fields(document)
    if not is_plain:
        fields = values.normalise(fields)
    doc = values.dumps(fields)
    checks.check_size(doc)
    if validator is not None:
        validator.check(fields)
    return Item(
        id=id,
        doc=doc.decode(),
        owner=checks.checked_owner(document.get("_owner")),
        has_owner="_owner" in document,
        version=_version(document.get("_version")),
        created_at=_time(document, "_createdAt"),
        updated_at=_time(document, "_updatedAt"),
        number=number,
        end=end,
    )


def _version(given: Any) -> int | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= _MAX_VERSION:
        raise _invalid("_version", "it is a whole number from 1")
    return given


def _time(document: dict[str, Any], name: str) -> str | None:
    given = document.get(name)
    if isinstance(given, dict) and "$date" in given:
        given = values.normalise(given, name)["$date"]
    if given is None:
        return None
    try:
        if not isinstance(given, str):
            raise TypeError(given)  # noqa: TRY301 - one handler for all that is no time
        text = dates.canonical(given)
        datetime.fromisoformat(text)  # there is no year 0 in a timestamptz
    except (TypeError, ValueError) as error:
        raise _invalid(name, "it is an RFC 3339 time") from error
    return text


def _invalid(name: str, detail: str) -> Invalid:
    return Invalid(
        f"The value of {name!r} cannot be stored: {detail}.",
        code="invalid_value",
        errors=[FieldError(name, "invalid_value", detail)],
    )
