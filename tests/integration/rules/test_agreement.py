"""The predicate and the SQL of a rule let the same documents pass."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from auth.rules import RuleNotCompilable, ast
from auth.rules.catalog import DATE_PARTS
from auth.rules.unparse import to_text
from tests.integration.rules.judge import AUTHS, SCALARS, Judge

RULES = [
    line
    for line in r"""
# the common ones
doc._owner == auth.uid
doc.a in auth.claims.teams
doc.a == true
auth.uid in doc.list
auth.role == 'hr' || doc.a == true
doc._owner != null && doc._version > 3
doc.list.exists(x, x == auth.uid)
doc.list.all(x, x != null)
has(doc.a)
has(doc.map.a) && doc.map.a == 1
doc.map.exists(k, k == 'a')
doc.a == null
# numbers
doc.a == 0.1
doc.a == 1
doc.a < 1
doc.a >= auth.claims.level
doc.a + doc.b > 0
doc.a / 2 == 3
doc.a / 2.0 == 3.5
doc.a % 2 == 1
doc.a / doc.b < 1
-doc.a > 0
doc.a * doc.a * doc.a > 1
int(doc.a) == 1
double(doc.a) == 1.5
doc.a - 1 == doc.b
string(doc.a) == '0.1'
string(doc.a) == '1'
uint(doc.a) == uint(7)
doc.a / 3 > 0.3
doc.a < doc.b
doc.a == doc.b
doc.map == doc.map
doc._version % 2 == 0
# text
doc.a.startsWith('a')
doc.a.endsWith('')
doc.a.contains('/')
size(doc.a) == 1
doc.a.matches('^[a-z0-9]+$')
doc.a.matches('(?i)^A.?$')
doc.a.matches('\\S$')
doc.a.split('/')[0] == 'a'
doc.a.lowerAscii() == 'a'
doc.a + doc.b == 'ab'
doc.a == '%s'
doc._owner == '%s'
doc.a < 'b'
doc.a > 'A'
doc.a in ['a', 1, null]
doc._owner in ['a', null]
doc._owner in auth.claims.teams
doc._owner < 'b'
doc._id.startsWith(auth.uid)
string(doc.a) == doc.b
bool(doc.a)
doc.a.split('')[0] == ''
# times
timestamp(doc.a) <= now
doc._createdAt == now
doc.a == now
now >= doc.a
doc._createdAt - duration('1h') < now
doc._updatedAt > now - duration('2160h')
timestamp(doc.a).getFullYear() == 2024
doc._updatedAt.getDayOfWeek() == 0
doc._updatedAt.getMonth() == 5
doc._updatedAt.getDayOfYear() < 100
int(now) > int(doc._updatedAt)
timestamp(doc.a) - now < duration('1h')
timestamp(doc.a) + duration('100000h') > now
doc._createdAt in [doc._updatedAt]
doc.a == doc._createdAt
doc._createdAt == '2024-06-01T12:00:00.000250Z'
doc._updatedAt.getHours() + doc._updatedAt.getMinutes() + doc._updatedAt.getSeconds() > 15
doc._createdAt.getMilliseconds() == 0
doc._updatedAt.getDate() - doc._updatedAt.getDayOfMonth() == 1
# lists and maps
doc.list[0] == 1
doc.list[doc._version] == null
doc.map[doc.a] == 1
doc.map['a'] == 'a'
doc.list.filter(x, x == 1) == [1]
doc.list.map(x, x + 1).exists(x, x == 2)
doc.list.map(x, x != null, [x, doc.a]).size() > 1
doc.map.map(k, k + '!').size() == 3
doc.list.exists_one(x, x == null)
doc.list.exists_one(x, x > 0)
doc.list + doc.list == []
doc.list.exists(x, x > 0)
doc.list.all(x, x > 0)
doc.list.all(x, doc.a == 1)
doc.list.exists(x, doc.map.exists(k, doc.map[k] == x))
'a' in doc.map
doc.a in doc.list
1 in doc.list
null in doc.list
['a'] in doc.list
doc.list in [[], [1]]
[doc.a] == [doc.b]
{'a': doc.a} == {'a': doc.b}
doc.a in {'a': 1}
auth.claims.map[doc.a]
doc['a'] == 1
doc.a ? doc.b == 1 : doc.list == []
(doc.a ? 1 : 'x') == 1
'a' in doc
'_id' in doc
size(doc.list) == 2
doc.map.size() == 3
doc.list in doc.list
doc.a in [doc.b, doc.a]
# other documents
get('teams', doc.a) == null
get('teams', 't1')._owner == auth.uid
get('none', 'x') == null
get('teams', 't' + string(doc._version))._owner == doc._owner
get('teams', doc.a) != null
get('teams', 't2').list.exists(x, x == doc.a)
has(get('teams', doc._id).a)
get('teams', 't1').a == 1
get('teams', doc._id)._createdAt > now
get('none', doc._id).a == 1
get('teams', doc._id)._version > 1
get('teams', 't3')[auth.uid] == 1
# faults meet the logic
doc.nowhere == 1 || true
doc.nowhere == 1 && false
!(doc.nowhere == 1)
doc.a || doc.b
doc.a && doc.b
auth.uid == doc._owner || doc.a == 1
auth == null
auth.claims.nowhere == doc.a
1 / 0 == doc.a
doc.a.b.c == 1
doc.list.a == 1
doc == null || true
request.ip == doc.a
""".splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("source", RULES)
def test_both_back_ends_agree_about(source: str, judge: Judge) -> None:
    if source.startswith(("doc._createdAt in", "doc == null")):
        with pytest.raises(RuleNotCompilable):
            judge.rule(source).require_sql(judge.bindings)
        return
    judge.rule(source).require_sql(judge.bindings)
    judge.must_agree(source)


def test_the_rules_above_are_no_vacuous_agreement(judge: Judge) -> None:
    """Most of them let some documents pass and refuse others, for some caller."""
    telling = 0
    for source in RULES:
        passed = [len(judge.python(judge.rule(source), auth)) for auth in AUTHS]
        telling += any(0 < count < len(judge.documents) for count in passed)
    assert telling > len(RULES) * 0.7


# Random trees. Mostly well typed, so that they say something; sometimes not, so that faults meet.

NAMES = st.sampled_from(("a", "b", "c", "list", "map", "nowhere"))


def name(text: str) -> ast.Node:
    return ast.Name(name=text)


TOO_LONG = (10**100, -(10**120), Decimal("1e-101"))  # for a literal
literals = st.sampled_from([value for value in SCALARS if value not in TOO_LONG]).map(
    lambda value: ast.Literal(value=value)
)
fields = st.one_of(
    NAMES.map(lambda field: ast.Select(operand=name("doc"), field=field)),
    st.sampled_from(("_id", "_owner", "_version")).map(
        lambda field: ast.Select(operand=name("doc"), field=field)
    ),
    st.sampled_from(("uid", "role", "email", "anonymous")).map(
        lambda field: ast.Select(operand=name("auth"), field=field)
    ),
    st.sampled_from(("teams", "level", "a", "map", "list")).map(
        lambda field: ast.Select(
            operand=ast.Select(operand=name("auth"), field="claims"), field=field
        )
    ),
    st.sampled_from(("a", "b")).map(
        lambda field: ast.Select(operand=ast.Select(operand=name("doc"), field="map"), field=field)
    ),
)
others = st.builds(
    lambda collection, id_, field: ast.Select(
        operand=ast.Get(collection=collection, id=id_), field=field
    ),
    st.sampled_from(("teams", "teams", "none")),
    st.one_of(fields, st.sampled_from(("t1", "t2", "x")).map(lambda v: ast.Literal(value=v))),
    st.sampled_from(("_owner", "_version", "a", "list", "map", "nowhere")),
)
spans = st.one_of(
    st.sampled_from(("1h", "-1.5s", "2160h", "0s")).map(
        lambda v: ast.Call(function="duration", arguments=(ast.Literal(value=v),))
    ),
    st.builds(
        lambda a, b: ast.Arithmetic(op="-", left=a, right=b),
        st.just(name("now")),
        st.just(ast.Select(operand=name("doc"), field="_updatedAt")),
    ),
)
moments = st.one_of(
    st.just(name("now")),
    st.sampled_from(("_createdAt", "_updatedAt")).map(
        lambda field: ast.Select(operand=name("doc"), field=field)
    ),
    fields.map(lambda field: ast.Call(function="timestamp", arguments=(field,))),
    st.just(
        ast.Select(
            operand=ast.Get(collection="teams", id=ast.Literal(value="t1")), field="_createdAt"
        )
    ),
)
times = st.one_of(
    moments,
    moments,
    st.builds(
        lambda op, a, b: ast.Arithmetic(op=op, left=a, right=b),
        st.sampled_from("+-"),
        moments,
        spans,
    ),
)
date_parts = st.builds(
    lambda f, t: ast.Call(function=f, arguments=(t,)), st.sampled_from(DATE_PARTS), times
)


def values(inner: st.SearchStrategy[ast.Node], depth: int) -> st.SearchStrategy[ast.Node]:
    if depth == 0:
        return inner
    below = values(inner, depth - 1)
    calls = st.sampled_from(
        ("size", "int", "double", "string", "dyn", "lowerAscii", "upperAscii", "uint", "bool")
    )
    return st.one_of(
        inner,
        inner,
        date_parts,
        st.builds(
            lambda x, by: ast.Call(function="split", arguments=(x, by)),
            below,
            st.one_of(st.sampled_from(("/", "a", "")).map(lambda v: ast.Literal(value=v)), inner),
        ),
        st.builds(
            lambda key, x: ast.MapOf(entries=((ast.Literal(value=key), x),)),
            st.sampled_from(("a", "b")),
            below,
        ),
        st.builds(
            lambda op, left, right: ast.Arithmetic(op=op, left=left, right=right),
            st.sampled_from("+-*/%"),
            below,
            below,
        ),
        st.builds(lambda f, x: ast.Call(function=f, arguments=(x,)), calls, below),
        st.builds(lambda x, key: ast.Index(operand=x, key=key), below, inner),
        st.builds(lambda x: ast.Negate(operand=x), below),
        st.lists(below, max_size=3).map(lambda items: ast.ListOf(items=tuple(items))),
        st.builds(
            lambda c, a, b: ast.Choice(condition=c, then=a, otherwise=b),
            truths(inner, depth - 1),
            below,
            below,
        ),
        macros(inner, depth, ("map", "filter")),
    )


def macros(
    inner: st.SearchStrategy[ast.Node], depth: int, kinds: tuple[str, ...]
) -> st.SearchStrategy[ast.Node]:
    variable = f"x{depth}"
    within = st.one_of(inner, st.just(name(variable)), st.just(name(variable)))

    def body(kind: Any) -> st.SearchStrategy[ast.Node]:
        part = values(within, depth - 1) if kind == "map" else truths(within, depth - 1)
        return st.builds(
            lambda operand, body: ast.Macro(
                macro=kind, operand=operand, variable=variable, body=body
            ),
            values(inner, depth - 1),
            part,
        )

    return st.sampled_from(kinds).flatmap(body)


def truths(inner: st.SearchStrategy[ast.Node], depth: int) -> st.SearchStrategy[ast.Node]:
    value = values(inner, max(depth - 1, 0))
    relations = st.sampled_from(("==", "!=", "<", "<=", ">", ">=", "in"))

    def relation(op: Any, left: ast.Node, right: ast.Node) -> ast.Node:
        return ast.Compare(op=op, left=left, right=right)

    leaves = st.one_of(
        st.builds(relation, relations, value, value),
        st.builds(relation, relations, times, st.one_of(times, value)),
        st.builds(relation, relations, value, times),
        st.builds(relation, relations, spans, st.one_of(spans, value)),
        st.builds(
            lambda x, p: ast.Call(function="matches", arguments=(x, ast.Literal(value=p))),
            value,
            st.sampled_from(("^a", "[0-9]+$", "(?i)^A|B$", ".", "^$")),
        ),
        st.builds(
            lambda f, a, b: ast.Call(function=f, arguments=(a, b)),
            st.sampled_from(("startsWith", "endsWith", "contains")),
            value,
            value,
        ),
        st.builds(lambda x, field: ast.Has(operand=x, field=field), value, NAMES),
        value,
    )
    if depth == 0:
        return leaves
    below = truths(inner, depth - 1)
    return st.one_of(
        leaves,
        st.builds(lambda x: ast.Not(operand=x), below),
        st.builds(
            lambda op, parts: ast.Logic(op=op, operands=tuple(parts)),
            st.sampled_from(("&&", "||")),
            st.lists(below, min_size=2, max_size=3),
        ),
        macros(inner, depth, ("all", "exists", "exists_one")),
    )


@settings(
    max_examples=int(os.environ.get("RULES_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(source=truths(st.one_of(fields, fields, literals, others), 2).map(to_text))
def test_both_back_ends_agree_about_any_rule(source: str, judge: Judge) -> None:
    assume(len(source) < 1000)
    try:
        judge.rule(source).require_sql(judge.bindings)
    except RuleNotCompilable:
        return
    judge.must_agree(source)
