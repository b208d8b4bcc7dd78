"""A compiled expression: SQL together with what is known about its value."""

from dataclasses import dataclass
from typing import Any, Final, Literal, LiteralString, TypeAlias

from psycopg import sql

from documents import values
from documents.query import columns

# json: jsonb, SQL's NULL is missing. number and text: numeric and text, SQL's NULL is null.
# boolean: never NULL.
Kind: TypeAlias = Literal["json", "number", "text", "boolean"]


@dataclass(frozen=True, slots=True)
class Code:
    text: sql.Composable
    kind: Kind = "json"
    # Short and quick to evaluate: may stand several times in what is made of it.
    cheap: bool = False
    # Whether it may be missing: only jsonb can.
    optional: bool = False

    @property
    def json(self) -> sql.Composable:
        match self.kind:
            case "json":
                return self.text
            case "boolean":
                return sql.SQL("to_jsonb({})").format(self.text)
            case _:
                return sql.SQL("coalesce(to_jsonb({}), 'null')").format(self.text)

    @property
    def truth(self) -> sql.Composable:
        """A boolean that is never NULL: false, null, 0 and missing are false."""
        match self.kind:
            case "boolean":
                return self.text
            case "number":
                return sql.SQL("coalesce({} <> 0, false)").format(self.text)
            case "text":
                return sql.SQL("({} IS NOT NULL)").format(self.text)
            case _:
                return sql.SQL(_TRUE).format(self.text)


# In the text of an array only a quoted null is JSON's.
_TRUE: Final[LiteralString] = "coalesce({} <> ALL ('{{\"null\",false,0}}'::jsonb[]), false)"
MISSING: Final = Code(sql.SQL("NULL::jsonb"), cheap=True, optional=True)


def constant(value: Any) -> Code:
    return Code(json_literal(value), cheap=True)


def json_literal(value: Any) -> sql.Composable:
    return sql.SQL("{}::jsonb").format(columns.literal(values.dumps(value).decode()))


def flat(text: sql.Composable) -> sql.Composable:
    """The same in one piece: what is composed of pieces of pieces is too deep to be written out."""
    return sql.SQL(text.as_string(None))


def call(function: LiteralString, *arguments: sql.Composable) -> sql.Composable:
    """A call of one of the functions that the migration made."""
    return sql.SQL("{}({})").format(sql.SQL(function), sql.SQL(", ").join(arguments))


def array(items: list[sql.Composable]) -> sql.Composable:
    return sql.SQL("ARRAY[{}]::jsonb[]").format(sql.SQL(", ").join(items))
