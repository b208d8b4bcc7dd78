"""A declared index as a value: checked by `declaration`, kept in the collection's row."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias

from documents.query.sort import Direction

Type: TypeAlias = Literal["btree", "text", "geo", "vector", "owner"]
State: TypeAlias = Literal["building", "ready", "failed"]
Fields: TypeAlias = tuple[tuple[str, Direction], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What an index is, and how far its building has come."""

    name: str  # of the PostgreSQL index, derived from all that makes the index what it is
    label: str  # as the project calls it
    fields: Fields
    type: Type = "btree"
    unique: bool = False
    sparse: bool = False  # only documents that have one of the fields
    where: str | None = None  # only documents that match this filter (JSON text, so it is exact)
    language: str | None = None  # text: PostgreSQL's configuration
    dimensions: int | None = None  # vector
    metric: str | None = None  # vector: cosine, l2, ip
    implied: bool = False  # not declared: `ttl_field` or a rule on `_owner` needs it

    state: State = "ready"
    error: str | None = None  # why it has failed
    multikey: bool = False  # arrays were written to a field: filters must not rely on the B-tree
    # Of a multikey index: the state of the GIN index on the members of those arrays.
    members: State | None = None

    @property
    def names(self) -> list[str]:
        """The fields without their directions."""
        return [field for field, _ in self.fields]

    @property
    def is_partial(self) -> bool:
        return self.sparse or self.where is not None

    @property
    def members_name(self) -> str:
        """Of the PostgreSQL index on array members."""
        return f"{self.name}_m"

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to be built."""
        return self.state != "building" and self.members != "building"


# What a PostgreSQL index's name stands for; the same declaration has the same name, so a change
# of indexes is a difference of names.
IDENTITY: Final = ("type", "sparse", "where", "language", "dimensions", "metric")


def index_name(collection_id: int, fields: Fields, unique: bool, more: Mapping[str, Any]) -> str:
    """`more` are the members of an Index which make it another one."""
    identity: tuple[Any, ...] = (list(fields), unique)
    given = {key: more[key] for key in IDENTITY if more.get(key) and more[key] != "btree"}
    if given:
        identity = (*identity, sorted(given.items()))
    digest = hashlib.blake2b(repr(identity).encode(), digest_size=10).hexdigest()
    return f"i{collection_id}_{digest}"


def label_of(fields: Fields, type: Type) -> str:
    """The name that MongoDB would give: `a_1_b_-1`, `title_text`."""
    return "_".join([f"{field}_{direction if type == 'btree' else type}"
                     for field, direction in fields])  # fmt: skip


def to_stored(index: Index) -> dict[str, Any]:
    """JSON for the collection's row: what is as by default is left out."""
    return {key: value for key, value in asdict(index).items() if value != _DEFAULTS.get(key)}


def from_stored(stored: Mapping[str, Any]) -> Index:
    fields: Fields = tuple([(name, direction) for name, direction in stored["fields"]])
    label = stored.get("label") or label_of(fields, stored.get("type", "btree"))
    return Index(**{**stored, "fields": fields, "label": label})


_DEFAULTS: Final[dict[str, Any]] = {
    "type": "btree",
    "unique": False,
    "sparse": False,
    "where": None,
    "language": None,
    "dimensions": None,
    "metric": None,
    "implied": False,
    "state": "ready",
    "error": None,
    "multikey": False,
    "members": None,
}
