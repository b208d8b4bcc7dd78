"""How often a schema may look at one and the same value: what bounds the time that checking takes.

A schema that asks twice what asks twice … is short and takes for ever. Pure.
"""

from collections.abc import Iterator
from typing import Any, Final

MAX_SUBSCHEMAS: Final = 2000
_BUILT_IN: Final = 100.0  # what is not a part of the schema: a meta-schema
_LISTS: Final = ("allOf", "anyOf", "oneOf")
_IN_PLACE: Final = ("not", "if", "then", "else", "propertyNames")
_REFERENCES: Final = ("$ref", "$dynamicRef")
# Of the members of an object or an array: any of them.
_ANY: Final = ("additionalProperties", "unevaluatedProperties", "items", "contains",
               "unevaluatedItems")  # fmt: skip
_HOLDERS: Final = ("$defs", "definitions", "properties", "patternProperties", "dependentSchemas")


class TooComplex(Exception):
    """The schema cannot be bounded; the text says why."""


class Costs:
    """Of one schema. Raises TooComplex for one that has too many parts or refers elsewhere."""

    def __init__(self, schema: Any) -> None:
        self._root = schema
        self._anchors: dict[str, Any] = {}
        self._count = 0
        self._collect(schema)
        self._by_depth: list[dict[int, float]] = []

    def at_once(self) -> float:
        """How often a value is looked at when no part leads back to itself."""
        return self._cost(self._root, set(), {})

    def at_depth(self, depth: int) -> float:
        """How often a value so many levels deep is looked at, at most."""
        while len(self._by_depth) <= depth:
            below = self._by_depth[-1] if self._by_depth else {}
            found: dict[int, float] = {}
            self._deep(self._root, below, found, set())
            for part in self._all(self._root):
                self._deep(part, below, found, set())
            self._by_depth.append(found)
        return self._by_depth[depth].get(id(self._root), 1.0)

    # Looking at the schema

    def _collect(self, schema: Any) -> None:
        for part in self._all(schema):
            self._count += 1
            if self._count > MAX_SUBSCHEMAS:
                raise TooComplex(f"it has more than {MAX_SUBSCHEMAS} parts")
            if "$id" in part and part is not self._root:
                raise TooComplex("$id stands at the top only")
            for name in ("$anchor", "$dynamicAnchor"):
                if isinstance(part.get(name), str):
                    self._anchors[part[name]] = part
        for part in self._all(schema):
            for name in _REFERENCES:
                if name in part:
                    self._target(part[name])

    def _all(self, schema: Any) -> Iterator[dict[str, Any]]:
        if not isinstance(schema, dict):
            return
        yield schema
        for child in self._children(schema):
            yield from self._all(child)

    def _children(self, schema: dict[str, Any]) -> Iterator[Any]:
        for name in (*_LISTS, "prefixItems"):
            if isinstance(schema.get(name), list):
                yield from schema[name]
        for name in (*_IN_PLACE, *_ANY):
            if name in schema:
                yield schema[name]
        for name in _HOLDERS:
            if isinstance(schema.get(name), dict):
                yield from schema[name].values()

    def _target(self, reference: Any) -> Any:
        if not isinstance(reference, str):
            return None
        if not reference.startswith("#"):
            if reference.startswith("https://json-schema.org/draft/"):
                return None
            raise TooComplex(f"{reference[:100]}: a schema cannot refer to other addresses")
        if not reference[1:].startswith("/"):
            return self._anchors.get(reference[1:]) if reference != "#" else self._root
        found = self._root
        for step in reference[2:].split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(key)] if isinstance(found, list) else found[key]
            except (KeyError, IndexError, TypeError, ValueError):
                return None  # jsonschema-rs says so
        return found

    # Counting

    def _in_place(self, schema: dict[str, Any]) -> Iterator[Any]:
        for name in _LISTS:
            yield from schema.get(name) or ()
        for name in _IN_PLACE:
            if name in schema:
                yield schema[name]
        yield from (schema.get("dependentSchemas") or {}).values()
        for name in _REFERENCES:
            if name in schema:
                yield self._target(schema[name])

    def _members(self, schema: dict[str, Any]) -> Iterator[list[Any]]:
        """The parts that look at one and the same member, for each kind of member."""
        every = [schema[name] for name in _ANY if name in schema]
        every += (schema.get("patternProperties") or {}).values()
        yield every
        for part in (schema.get("properties") or {}).values():
            yield [part, *every]
        for part in schema.get("prefixItems") or ():
            yield [part, *every]

    def _cost(self, schema: Any, above: set[int], known: dict[int, float]) -> float:
        if not isinstance(schema, dict):
            return _BUILT_IN if schema is None else 1.0
        if id(schema) in above:
            return 1.0
        if id(schema) not in known:
            above.add(id(schema))
            total = 1.0 + sum([self._cost(part, above, known) for part in self._in_place(schema)])
            total += max([sum([self._cost(part, above, known) for part in parts])
                          for parts in self._members(schema)])  # fmt: skip
            above.discard(id(schema))
            known[id(schema)] = total
        return known[id(schema)]

    def _deep(
        self, schema: Any, below: dict[int, float], found: dict[int, float], above: set[int]
    ) -> float:
        if not isinstance(schema, dict):
            return _BUILT_IN if schema is None else 1.0
        if id(schema) in above:
            return 1.0
        if id(schema) not in found:
            above.add(id(schema))
            total = 1.0 + sum(
                [self._deep(part, below, found, above) for part in self._in_place(schema)]
            )
            total += max([sum([below.get(id(part), 1.0) for part in parts])
                          for parts in self._members(schema)])  # fmt: skip
            above.discard(id(schema))
            found[id(schema)] = total
        return found[id(schema)]
