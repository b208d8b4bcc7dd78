"""`$text`: documents that have words, by the collection's text index.

As in MongoDB a search is any of its words; the phrases in quotation marks, if there are any, must
all be there, and no word or phrase that has a minus in front. Words are stemmed, and the most
frequent ones left out, as the language has it; case and diacritics do not matter. A run of Chinese,
Japanese, Korean or Thai, which have no spaces between words, is found where all its pairs of
neighbouring characters are. Migration 0006 has the SQL functions.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from documents.query import columns
from documents.query.problems import invalid_query, unsupported
from documents.query.rows import Rows

DEFAULT: Final = "english"
MAX_SEARCH: Final = 2000  # characters
# MongoDB's names of languages -> PostgreSQL's. "simple" neither stems nor leaves words out.
LANGUAGES: Final = {
    **dict.fromkeys(("none", "simple"), "simple"),
    **dict.fromkeys(("chinese", "zh", "hans", "hant", "zhs", "zht"), "simple"),
    **dict.fromkeys(("japanese", "ja", "korean", "ko", "thai", "th"), "simple"),
    **{
        name: full
        for full, short in {
            "danish": "da",
            "dutch": "nl",
            "english": "en",
            "finnish": "fi",
            "french": "fr",
            "german": "de",
            "hungarian": "hu",
            "italian": "it",
            "norwegian": "nb",
            "portuguese": "pt",
            "romanian": "ro",
            "russian": "ru",
            "spanish": "es",
            "swedish": "sv",
            "turkish": "tr",
        }.items()
        for name in (full, short)
    },
}
_PARTS: Final = re.compile(r'(?:(?<!\S)(-))?"([^"]*)"|([^\s"]+)')
# As documents_text_words has it.
_SIGNS: Final = re.compile(
    "[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf"
    "\u2000-\u2bff\u3000-\u3004\u3008-\u303f\u30fb]+"
)


@dataclass(frozen=True, slots=True)
class Text:
    """A search. Only a text index can answer it, so there is no predicate for one document."""

    terms: tuple[str, ...]
    phrases: tuple[str, ...]
    excluded: tuple[str, ...]  # words
    excluded_phrases: tuple[str, ...]
    language: str | None  # PostgreSQL's name; None for the index's


def parse(argument: Any) -> Text:
    """From `{"$search", "$language"?}`. Raises Malformed."""
    if not isinstance(argument, dict) or not isinstance(argument.get("$search"), str):
        raise invalid_query('$text takes {"$search": "words"}')
    language = None
    for name, value in argument.items():
        match name:
            case "$search":
                continue
            case "$language":
                language = language_of(value)
                if language is None:
                    raise invalid_query(f"$language takes one of {', '.join(sorted(LANGUAGES))}")
            case "$caseSensitive" | "$diacriticSensitive":
                if not isinstance(value, bool):
                    raise invalid_query(f"{name} takes true or false")
                if value:
                    raise unsupported(name)
            case _:
                raise unsupported(name)
    search: str = argument["$search"]
    if len(search) > MAX_SEARCH or "\0" in search:
        raise invalid_query(f"$search has at most {MAX_SEARCH} characters and no NUL")
    return _parts(search, language)


def language_of(name: Any) -> str | None:
    """PostgreSQL's name of a language, None for one that is not known."""
    return LANGUAGES.get(name.lower()) if isinstance(name, str) else None


def _parts(search: str, language: str | None) -> Text:
    terms: list[str] = []
    phrases: list[str] = []
    excluded: list[str] = []
    excluded_phrases: list[str] = []
    for minus, phrase, word in _PARTS.findall(search):
        if phrase.strip():
            (excluded_phrases if minus else phrases).append(phrase)
        elif word.startswith("-"):
            excluded.append(word[1:])
        else:
            # A hyphen inside a word separates two.
            terms += filter(None, _SIGNS.split(word))
    return Text(
        tuple(terms), tuple(phrases), tuple(excluded), tuple(excluded_phrases), language
    )  # fmt: skip


def vector(
    fields: Sequence[str], language: str, doc: sql.Composable = columns.DOC
) -> sql.Composable:
    """The words of a document: what a text index is on."""
    return sql.SQL("documents_text_vector({}, {}, {}::regconfig)").format(
        doc, _paths(fields), columns.literal(language)
    )


def _paths(fields: Sequence[str]) -> sql.Composable:
    """The texts at the fields, and in arrays there, as jsonpath finds them."""
    paths = [
        "$" + "".join(["." + json.dumps(step) for step in field.split(".")])
        + ' ? (@.type() == "string")'
        for field in fields
    ]  # fmt: skip
    return sql.SQL("ARRAY[{}]::jsonpath[]").format(
        sql.SQL(", ").join([columns.literal(path) for path in paths])
    )


def shape(node: Text) -> tuple[Any, ...]:
    """All that the SQL depends on."""
    return ("$text", bool(node.phrases), bool(node.excluded_phrases), node.language)


def terms(node: Any) -> list[str]:
    return list(node.terms)


def phrases(node: Any) -> list[str]:
    return list(node.phrases)


def excluded(node: Any) -> list[str]:
    return list(node.excluded)


def excluded_phrases(node: Any) -> list[str]:
    return list(node.excluded_phrases)


def to_sql(node: Text, rows: Rows, add: Any) -> sql.Composable:
    """The condition; `add(make, cast)` makes a parameter of the node. Raises Malformed without a
    text index."""
    fields, language = _index(rows)
    rows = rows.facing(*[tuple(field.split(".")) for field in fields])
    found = sql.SQL("{} @@ {}").format(
        vector(fields, language, rows.doc), _query(node, language, add)
    )
    texts = sql.SQL("documents_text({}, {})").format(rows.doc, _paths(fields))
    has_phrase = "SELECT FROM unnest({}) AS p(phrase) WHERE position(documents_text_fold(phrase)"
    if node.phrases:
        # Stems are not enough: the phrase stands there as it is.
        found += sql.SQL(" AND NOT EXISTS (" + has_phrase + " IN {}) = 0)").format(
            add(phrases, "text[]"), texts
        )
    if node.excluded_phrases:
        found += sql.SQL(" AND NOT EXISTS (" + has_phrase + " IN {}) > 0)").format(
            add(excluded_phrases, "text[]"), texts
        )
    return sql.SQL("({})").format(found)


def score(node: Text, rows: Rows, add: Any) -> sql.Composable:
    """How well a document matches (`{"$meta": "textScore"}`): a float, more is better."""
    fields, language = _index(rows)
    rows = rows.facing(*[tuple(field.split(".")) for field in fields])
    return sql.SQL("ts_rank({}, {})").format(
        vector(fields, language, rows.doc), _query(node, language, add)
    )


def _query(node: Text, language: str, add: Any) -> sql.Composable:
    return sql.SQL("documents_text_query({}, {}, {}, {}::regconfig)").format(
        add(terms, "text[]"),
        add(phrases, "text[]"),
        add(excluded, "text[]"),
        columns.literal(node.language or language),
    )


def _index(rows: Rows) -> tuple[tuple[str, ...], str]:
    if rows.text is None:
        raise invalid_query(
            "$text needs a text index on the collection, and stands where its documents are read"
            ' (the first $match): declare one with {"fields": […], "type": "text"}'
        )
    return rows.text
