"""`indexes[…]` of PUT collections/{c}: every member checked. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from baas.kernel.problems import FieldError, Invalid, Problem
from documents import values
from documents.indexes import vectors
from documents.indexes.spec import IDENTITY, Fields, Index, Type, index_name, label_of
from documents.query import parse, paths, text
from documents.query.sort import Direction

MAX_INDEXES: Final = 64
MAX_FIELDS: Final = 8
MAX_NAME: Final = 120
_OF_ALL: Final = frozenset({"fields", "type", "name", "state", "error", "progress"})
# What an index of each type may have beside those. The last three above are what a GET shows of
# it: they may be sent back.
_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "btree": frozenset({"unique", "sparse", "where"}),
    "text": frozenset({"unique", "language"}),
    "geo": frozenset({"unique"}),
    "vector": frozenset({"unique", "dimensions", "metric"}),
}
# Of a `where`: what stays as fast to decide as it is to compare.
_CONDITIONS: Final = frozenset({
    "$and", "$or", "$nor", "$not", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin",
    "$exists",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDeclaration:
    fields: Fields
    type: Type = "btree"
    unique: bool = False
    label: str | None = None
    sparse: bool = False
    where: str | None = None
    language: str | None = None
    dimensions: int | None = None
    metric: str | None = None
    implied: bool = False

    @property
    def serves_all_documents(self) -> bool:
        return self.type == "btree" and not self.sparse and self.where is None

    def index(self, collection_id: int) -> Index:
        """As a collection keeps it."""
        identity = {name: getattr(self, name) for name in IDENTITY}
        return Index(
            name=index_name(collection_id, self.fields, self.unique, identity),
            label=self.label or label_of(self.fields, self.type),
            fields=self.fields,
            type=self.type,
            unique=self.unique,
            sparse=self.sparse,
            where=self.where,
            language=self.language,
            dimensions=self.dimensions,
            metric=self.metric,
            implied=self.implied,
        )


def parse_indexes(given: Any) -> tuple[IndexDeclaration, ...]:
    """Raises Invalid `invalid_index` or `not_supported`, naming the member."""
    if not isinstance(given, list) or len(given) > MAX_INDEXES:
        raise _invalid("indexes", f"it is an array of at most {MAX_INDEXES}")
    found = [_index(index, f"indexes[{place}]") for place, index in enumerate(given)]
    labels = set()
    for place, index in enumerate(found):
        label = index.label or label_of(index.fields, index.type)
        if label in labels and index.label is not None:
            raise _invalid(f"indexes[{place}].name", f"there are two of the name {label!r}")
        labels.add(label)
    if len([index for index in found if index.type == "text"]) > 1:
        raise _invalid("indexes", "there is one text index at most, over any number of fields")
    return tuple(found)


def _index(given: Any, where: str) -> IndexDeclaration:
    if not isinstance(given, dict):
        raise _invalid(where, "an index is an object of fields, type …")
    type = given.get("type", "btree")
    if type not in _MEMBERS:
        raise _invalid(f"{where}.type", "it is one of btree, text, geo and vector")
    unknown = given.keys() - _OF_ALL - _MEMBERS[type]
    if unknown:
        raise _invalid(where, f"an index of type {type} has no {min(unknown)[:60]!r}")
    unique, sparse = (_flag(given, name, where) for name in ("unique", "sparse"))
    if unique and type != "btree":
        raise _invalid(f"{where}.unique", f"an index of type {type} cannot be unique")
    return IndexDeclaration(
        fields=_fields(given.get("fields"), type, f"{where}.fields"),
        type=type,
        unique=unique,
        label=_name(given.get("name"), f"{where}.name"),
        sparse=sparse,
        where=_condition(given.get("where"), f"{where}.where"),
        language=_language(given, f"{where}.language") if type == "text" else None,
        dimensions=_dimensions(given, f"{where}.dimensions") if type == "vector" else None,
        metric=_metric(given, f"{where}.metric") if type == "vector" else None,
    )


def _flag(given: dict[str, Any], name: str, where: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise _invalid(f"{where}.{name}", "it is true or false")
    return value


def _name(given: Any, where: str) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str) or not 0 < len(given) <= MAX_NAME or "\0" in given:
        raise _invalid(where, f"a name is a text of 1 to {MAX_NAME} characters")
    return given


def _fields(names: Any, type: str, where: str) -> Fields:
    most = 1 if type in ("geo", "vector") else MAX_FIELDS
    if not isinstance(names, list) or not 1 <= len(names) <= most:
        raise _invalid(where, f"it is an array of names: 1, at most {most}")
    fields: dict[str, Direction] = {}
    for name in names:
        if not isinstance(name, str):
            raise _invalid(where, "a field is a text")
        field = name.removeprefix("-")
        if type != "btree" and field != name:
            raise _invalid(where, f"an index of type {type} has no direction: {name[:60]!r}")
        try:
            path = paths.parse(field)
        except Problem as error:
            raise _invalid(where, error.detail) from error
        if paths.has_index(path) or field in fields:
            raise _invalid(where, f"{field[:60]!r} has an array's position in it, or stands twice")
        if type != "btree" and field.startswith("_"):
            _only_own(field, type, where)
        fields[field] = -1 if name.startswith("-") else 1
    return tuple(fields.items())


def _only_own(field: str, type: str, where: str) -> None:
    if field.split(".")[0] in values.SYSTEM_FIELDS:
        raise _invalid(where, f"an index of type {type} cannot be on the system field {field!r}")


def _condition(given: Any, where: str) -> str | None:
    if given is None:
        return None
    if not isinstance(given, dict) or not given:
        raise _invalid(where, "it is a filter")
    _check_operators(given, where)
    try:
        parse(given)
    except Problem as error:
        raise _invalid(where, error.detail) from error
    found = values.dumps(given).decode()
    if len(found) > 4000:
        raise _invalid(where, "it has at most 4,000 characters as JSON")
    return found


def _check_operators(given: Any, where: str) -> None:
    if isinstance(given, list):
        for item in given:
            _check_operators(item, where)
    elif isinstance(given, dict):
        for key, value in given.items():
            if key.startswith("$") and key not in _CONDITIONS and key not in values.EXTENDED:
                raise _invalid(where, f"{key[:60]} cannot be in the condition of an index")
            _check_operators(value, where)


def _language(given: dict[str, Any], where: str) -> str:
    language = text.language_of(given.get("language") or text.DEFAULT)
    if language is None:
        raise _invalid(where, f"it is one of {', '.join(sorted(text.LANGUAGES))}")
    return language


def _dimensions(given: dict[str, Any], where: str) -> int:
    value = given.get("dimensions")
    if isinstance(value, bool) or not isinstance(value, int):
        raise _invalid(where, "it is how many numbers a vector has")
    if not 1 <= value <= vectors.MAX_DIMENSIONS:
        raise _invalid(where, f"it is 1 to {vectors.MAX_DIMENSIONS}")
    return value


def _metric(given: dict[str, Any], where: str) -> str:
    value = given.get("metric", "cosine")
    if value not in vectors.METRICS:
        raise _invalid(where, f"it is one of {', '.join(vectors.METRICS)}")
    return str(value)


def _invalid(field: str, detail: str) -> Invalid:
    return Invalid(
        f"The collection cannot be declared so: {field}: {detail}",
        code="invalid_index",
        errors=[FieldError(field, "invalid_index", detail)],
    )
