"""CEL text to trees and back, its limits, and what it says about mistakes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.rules import DOCUMENT_ROOTS, ast, compile_rule, document_bindings
from auth.rules.errors import RuleError, RuleSyntaxError
from auth.rules.parser import MAX_DEPTH, MAX_NODES, MAX_SOURCE_CHARACTERS, parse
from auth.rules.unparse import to_text


def literal(source: str) -> Any:
    node = parse(source)
    assert isinstance(node, ast.Literal)
    return node.value


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("0", 0),
        ("-12", -12),
        ("0x1F", 31),
        ("7u", 7),
        ("0xaU", 10),
        ("1.50", Decimal("1.50")),
        (".5", Decimal("0.5")),
        ("1e3", Decimal("1000")),
        ("-2.5E-3", Decimal("-0.0025")),
        ("true", True),
        ("null", None),
        ("'a\"b'", 'a"b'),
        (r'"\n\t\\\"\x41\u00e9\U0001F600\101"', '\n\t\\"Aé😀A'),
        (r"r'\d+'", r"\d+"),
        ('R"a\\"', "a\\"),
        ('"""a "quoted"\nline"""', 'a "quoted"\nline'),
        ("'''it's'''", "it's"),
        ('""', ""),
        ("b'a\\xff\\n'", b"a\xff\n"),
        ("b'é'", "é".encode()),
        ("br'\\x'", b"\\x"),
        ("1 // a comment", 1),
    ],
)
def test_it_reads_literals(source: str, value: Any) -> None:
    found = literal(source)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("source", "same_as"),
    [
        ("a || b && c == d + e * -f", "(a || (b && ((c) == (d + (e * (-f))))))"),
        ("a - b - c", "(a - b) - c"),
        ("a ? b : c ? d : e", "a ? b : (c ? d : e)"),
        ("!a.b", "!(a.b)"),
        ("-a.b", "-(a.b)"),
        ("a && b && c", "a && (b && c)"),
        ("x in y == true", "(x in y) == true"),
        ("size(a)", "a.size()"),
        ("a.matches('x')", "matches(a, 'x')"),
        ("[1, 2,]", "[1, 2]"),
        ("{'a': 1,}", "{'a': 1}"),
        ("--1", "1"),
        ("a.in_b", "(a).in_b"),
        ("a.function", "(a).function"),
        ("a.in.true", "((a).in).true"),
    ],
)
def test_it_binds_as_cel_does(source: str, same_as: str) -> None:
    assert parse(source) == parse(same_as)


@pytest.mark.parametrize(
    ("source", "says", "position"),
    [
        ("", "ends in the middle", 0),
        ("doc.a ==", "ends in the middle", 8),
        ("doc.a = 1", "equality is ==", 6),
        ("doc.a & doc.b", "and is &&", 6),
        ("doc.a | doc.b", "or is ||", 6),
        ("doc.a == 'x", "never ends", 9),
        ("doc.a == )", "unexpected ')'", 9),
        ("doc..a", "unexpected '.'", 4),
        ("1abc", "unexpected 'abc'", 1),
        ("a b", "unexpected 'b'", 2),
        ("'\\q'", "not an escape", 0),
        ("'\\ud800'", "not a Unicode character", 0),
        ("'a\\x00'", "NUL", 0),
        ("package == 1", "reserved word", 0),
        ("has(doc)", "has() takes one field", 0),
        ("doc.a.all(1, true)", "all() takes a variable", 6),
        ("doc.a.all(x)", "all() takes a variable", 6),
        ("get(doc.c, 'x')", "a collection written as text", 0),
        ("doc.a.size(1)", "size() takes 0 arguments, not 1", 6),
        ("timestamp()", "timestamp() takes 1 argument, not 0", 0),
        ("1" * 101, "too long", 0),
        ("1e9999", "too long", 0),
        ("Foo{a: 1}", "unexpected '{'", 3),
    ],
)
def test_it_names_a_mistake_and_where_it_is(source: str, says: str, position: int) -> None:
    with pytest.raises(RuleSyntaxError) as caught:
        parse(source)
    assert says in str(caught.value)
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("doc.a.startWith('x')", "no function startWith(); did you mean startsWith()?"),
        ("lower(doc.a)", "no function lower()"),
        ("startsWith('a', 'b')", "as in doc.field.startsWith(…)"),
        ("doc.a.int()", "write int(…)"),
        ("eval('1')", "no function eval()"),
    ],
)
def test_it_names_an_unknown_function(source: str, says: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse(source)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "a" * (MAX_SOURCE_CHARACTERS + 1),
        "!" * (MAX_DEPTH + 1) + "a",
        "-" * (MAX_SOURCE_CHARACTERS - 1) + "a",
        "[" * 100 + "]" * 100,
        "a" + ".b" * MAX_DEPTH,
        "a ? b : " * 60 + "c",
        "1" + "+1" * MAX_DEPTH,
        "[" + "1," * (MAX_NODES + 1) + "]",
        "a.all(x, " * 50 + "true" + ")" * 50,
    ],
)
def test_it_refuses_what_is_too_large(source: str) -> None:
    with pytest.raises(RuleSyntaxError, match=r"longer|deeper|more than"):
        parse(source)


def test_it_accepts_long_chains_and_many_parentheses() -> None:
    assert parse("(" * 2000 + "a" + ")" * 2000) == parse("a")
    chain = parse(" || ".join(["a"] * 400))
    assert isinstance(chain, ast.Logic)
    assert len(chain.operands) == 400


_names = st.sampled_from(("doc", "now", "request"))
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.decimals(allow_nan=False, allow_infinity=False, places=6).filter(lambda n: abs(n) < 10**20),
    st.binary(max_size=6),
    _texts,
)


def _grow(inner: st.SearchStrategy[ast.Node]) -> st.SearchStrategy[ast.Node]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        st.builds(lambda x, f: ast.Select(operand=x, field=f), inner, _names),
        st.builds(lambda x, f: ast.Has(operand=x, field=f), inner, _names),
        st.builds(lambda p: ast.Index(operand=p[0], key=p[1]), pairs),
        st.builds(lambda x: ast.Not(operand=x), inner),
        st.builds(
            lambda x: ast.Negate(operand=x),
            inner.filter(
                lambda x: (
                    not isinstance(x, ast.Literal)
                    or isinstance(x.value, bool)
                    or not isinstance(x.value, int | Decimal)
                )
            ),
        ),
        st.builds(
            lambda op, p: ast.Compare(op=op, left=p[0], right=p[1]),
            st.sampled_from(("==", "!=", "<", "<=", ">", ">=", "in")),
            pairs,
        ),
        st.builds(
            lambda op, p: ast.Arithmetic(op=op, left=p[0], right=p[1]),
            st.sampled_from("+-*/%"),
            pairs,
        ),
        st.builds(
            lambda op, parts: ast.Logic(
                op=op,
                operands=tuple(
                    inside
                    for part in parts
                    for inside in (
                        part.operands if isinstance(part, ast.Logic) and part.op == op else (part,)
                    )
                ),
            ),
            st.sampled_from(("&&", "||")),
            st.lists(inner, min_size=2, max_size=3),
        ),
        st.builds(lambda p, x: ast.Choice(condition=p[0], then=p[1], otherwise=x), pairs, inner),
        st.lists(inner, max_size=3).map(lambda items: ast.ListOf(items=tuple(items))),
        st.lists(pairs, max_size=2).map(lambda entries: ast.MapOf(entries=tuple(entries))),
        st.builds(
            lambda f, x: ast.Call(function=f, arguments=(x,)),
            st.sampled_from(("size", "int", "lowerAscii", "timestamp")),
            inner,
        ),
        st.builds(
            lambda f, p: ast.Call(function=f, arguments=p),
            st.sampled_from(("startsWith", "contains", "split")),
            pairs,
        ),
        st.builds(lambda c, x: ast.Get(collection=c, id=x), _texts, inner),
        st.builds(
            lambda m, p, x: ast.Macro(
                macro=m, operand=p[0], variable="v", body=p[1], condition=x if m == "map" else None
            ),
            st.sampled_from(("all", "exists", "exists_one", "map", "filter")),
            pairs,
            inner,
        ),
    )


trees = st.recursive(
    st.one_of(_names.map(lambda n: ast.Name(name=n)), _scalars.map(lambda v: ast.Literal(value=v))),
    _grow,
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(tree=trees)
def test_text_and_tree_are_the_same_rule(tree: ast.Node) -> None:
    text = to_text(tree)
    if len(text) < MAX_SOURCE_CHARACTERS:
        assert parse(text) == tree
        assert to_text(parse(text)) == text


_pieces = st.sampled_from(
    [
        *("doc", "auth", "a", "x", "has", "get", "all", "map", "matches", "null", "true"),
        *(".", "(", ")", "[", "]", "{", "}", "?", ":", ",", " ", "\n", "//", "/*", "--", ";", "`"),
        *("==", "=", "in", "&&", "&", "||", "!", "-", "<", "1", "0x", "1e", ".5", "u", "%s", "$"),
        *("'", '"', "\\", "b'", 'r"""', "é", "\0", "\ud800"),
    ]
)


def use(source: str) -> None:
    """All that is done with a rule; nothing but a RuleError may come of it."""
    doc = {"a": [1, {"x": "y"}, None], "x": "text", "_owner": None}
    try:
        rule = compile_rule(source, DOCUMENT_ROOTS)
        rule.allows(auth=None, doc=doc)
        rule.explain(auth=None, doc=doc)
        bindings = document_bindings("d", lambda _: None)
        rule.to_sql(bindings).as_string()
        rule.require_sql(bindings)
    except RuleError as error:
        assert str(error)  # noqa: PT017 - that none is raised is as good


@settings(max_examples=300, deadline=None)
@given(source=trees.map(to_text))
def test_nothing_but_a_rule_error_comes_of_using_any_rule(source: str) -> None:
    use(source)


@settings(max_examples=300, deadline=None)
@given(source=st.one_of(st.lists(_pieces, max_size=30).map("".join), st.text(max_size=40)))
def test_hostile_text_ends_in_a_rule_error_at_worst(source: str) -> None:
    try:
        tree = parse(source)
    except RuleError as error:
        tree, detail, position = None, error.detail, error.position
    if tree is not None:
        assert parse(to_text(tree)) == tree
        use(source)
    else:
        assert detail
        assert position in range(len(source) + 1)
