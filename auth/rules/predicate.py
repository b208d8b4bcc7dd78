"""Back end one: a syntax tree becomes nested Python closures, made once, called per document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

from auth.rules import ast, operations, values
from auth.rules.errors import BudgetSpent, Fault
from auth.rules.patterns import compile_pattern
from auth.rules.values import Value
from baas.kernel import repeatable

ROOTS: Final = ("auth", "doc", "data", "now", "request", "object")
TIME_FIELDS: Final = frozenset({"_createdAt", "_updatedAt"})
MAX_GETS: Final = 10
MAX_STEPS: Final = 200_000  # items that macros visit and joins copy in one evaluation

_INDEX: Final = {name: position for position, name in enumerate(ROOTS)}
_STATE: Final = len(ROOTS)

GetDocument: TypeAlias = Callable[[str, str], Mapping[str, Any] | None]
Environment: TypeAlias = tuple[Any, ...]  # the ROOTS in order, then the State
Evaluate: TypeAlias = Callable[[Environment], Value]


class State:
    """What one evaluation may still spend, and the values of its macros' variables."""

    __slots__ = ("get", "gets", "steps", "variables")

    def __init__(self, get: GetDocument | None) -> None:
        self.get = get
        self.gets = 0
        self.steps = MAX_STEPS
        self.variables: dict[str, Value] = {}

    def restart(self) -> None:
        self.gets, self.steps = 0, MAX_STEPS

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise BudgetSpent(f"more than {MAX_STEPS} steps")


def environment(
    *,
    auth: Value = None,
    doc: Value = None,
    data: Value = None,
    now: datetime | None = None,
    request: Value = None,
    object: Value = None,
    state: State | None = None,
) -> Environment:
    """The roots in the order that the closures expect."""
    return (auth, doc, data, now or repeatable.now(), request, object, state)


def compile_predicate(node: ast.Node) -> Evaluate:
    """A function of the environment. It returns the value of `node`; it raises Fault for a CEL
    error and BudgetSpent for too much work."""
    match node:
        case ast.Literal():
            constant = node.value
            return lambda _: constant
        case ast.Name():
            return _name(node.name)
        case ast.Select():
            return _select(node)
        case ast.Index():
            return _index(node)
        case ast.Has():
            return _has(node)
        case ast.Get():
            return _get(node)
        case ast.Call():
            return _call(node)
        case ast.Macro():
            return _macro(node)
        case ast.ListOf():
            items = tuple(map(compile_predicate, node.items))
            return lambda env: [item(env) for item in items]
        case ast.MapOf():
            return _map(node)
        case ast.Not():
            operand = compile_predicate(node.operand)
            return lambda env: not values.truth(operand(env))
        case ast.Negate():
            operand = compile_predicate(node.operand)
            return lambda env: values.negate(operand(env))
        case ast.Compare():
            return _compare(node)
        case ast.Arithmetic():
            return _arithmetic(node)
        case ast.Logic():
            operands = tuple(map(compile_predicate, node.operands))
            return _logic(operands, decisive=node.op == "||")
        case ast.Choice():
            return _choice(node)
    raise TypeError(f"not a rule's node: {node!r}")


def _name(name: str) -> Evaluate:
    position = _INDEX.get(name)
    if position is None:
        return lambda env: env[_STATE].variables[name]
    return lambda env: env[position]


def _select(node: ast.Select) -> Evaluate:
    key = node.field
    if key in TIME_FIELDS and is_document(node.operand):
        stored = _field(compile_predicate(node.operand), key)
        return lambda env: values.moment(stored(env))
    if isinstance(node.operand, ast.Name) and node.operand.name in _INDEX:
        return _root_field(node.operand.name, key)
    return _field(compile_predicate(node.operand), key)


def _index(node: ast.Index) -> Evaluate:
    container, key = compile_predicate(node.operand), compile_predicate(node.key)
    if not is_document(node.operand):
        return lambda env: values.at(container(env), key(env))

    def read(env: Environment) -> Value:
        document, name = container(env), key(env)
        stored = values.at(document, name)
        return values.moment(stored) if name in TIME_FIELDS else stored

    return read


def is_document(node: ast.Node) -> bool:
    """Whether `node` is a whole stored document, whose times are timestamps."""
    return isinstance(node, ast.Get) or (
        isinstance(node, ast.Name) and node.name in ("doc", "data")
    )


def _root_field(root: str, key: str) -> Evaluate:
    position = _INDEX[root]

    def read(env: Environment) -> Value:
        try:
            return env[position][key]
        except (KeyError, TypeError):
            raise _no_field(env[position], key, root) from None

    return read


def _field(operand: Evaluate, key: str) -> Evaluate:
    def read(env: Environment) -> Value:
        container = operand(env)
        try:
            return container[key]
        except (KeyError, TypeError):
            raise _no_field(container, key, "the value") from None

    return read


def _no_field(container: Value, key: str, where: str) -> Fault:
    if container is None:
        return Fault(f"{where} is null, so it has no field {key}")
    if isinstance(container, Mapping):
        return Fault(f"{where} has no field {key}")
    return Fault(f"{where} is no map, so it has no field {key}")


def _has(node: ast.Has) -> Evaluate:
    operand, key = compile_predicate(node.operand), node.field

    def test(env: Environment) -> bool:
        container = operand(env)
        if isinstance(container, Mapping):
            return key in container
        raise Fault(f"has(): {values.describe(container)} is not a map")

    return test


def _get(node: ast.Get) -> Evaluate:
    collection, id_ = node.collection, compile_predicate(node.id)

    def read(env: Environment) -> Value:
        state: State = env[_STATE]
        key = values.text(id_(env))
        state.gets += 1
        if state.gets > MAX_GETS:
            raise BudgetSpent(f"more than {MAX_GETS} get()")
        if state.get is None:
            raise Fault("get() is not available here")
        return state.get(collection, key)

    return read


def _call(node: ast.Call) -> Evaluate:
    receiver = compile_predicate(node.arguments[0])
    if node.function == "matches":
        pattern = node.arguments[1]
        if not isinstance(pattern, ast.Literal) or not isinstance(pattern.value, str):
            raise TypeError("the checks let a computed pattern through")
        matches = compile_pattern(pattern.value).matches
        return lambda env: matches(values.text(receiver(env)))
    operation = operations.UNARY.get(node.function)
    if operation is not None:
        return lambda env: operation(receiver(env))
    binary, argument = operations.BINARY[node.function], compile_predicate(node.arguments[1])
    return lambda env: binary(receiver(env), argument(env))


def _map(node: ast.MapOf) -> Evaluate:
    entries = tuple((compile_predicate(k), compile_predicate(v)) for k, v in node.entries)

    def build(env: Environment) -> dict[str, Value]:
        made: dict[str, Value] = {}
        for key, value in entries:
            name = values.text(key(env))
            if name in made:
                raise Fault(f"the map has the key {name} twice")
            made[name] = value(env)
        return made

    return build


def _compare(node: ast.Compare) -> Evaluate:
    left, right = compile_predicate(node.left), compile_predicate(node.right)
    same, order = values.same, values.order
    match node.op:
        case "==":

            def equal(env: Environment) -> bool:
                a, b = left(env), right(env)
                return bool(a == b) if type(a) is type(b) is str else same(a, b)

            return equal
        case "!=":
            return lambda env: not same(left(env), right(env))
        case "<":
            return lambda env: order(left(env), right(env)) < 0
        case "<=":
            return lambda env: order(left(env), right(env)) <= 0
        case ">":
            return lambda env: order(left(env), right(env)) > 0
        case ">=":
            return lambda env: order(left(env), right(env)) >= 0
        case "in":

            def within(env: Environment) -> bool:
                value = left(env)
                return values.contains(right(env), value)

            return within


def _arithmetic(node: ast.Arithmetic) -> Evaluate:
    left, right = compile_predicate(node.left), compile_predicate(node.right)
    if node.op == "+":

        def join(env: Environment) -> Value:
            total = values.add(left(env), right(env))
            if isinstance(total, list):
                env[_STATE].spend(len(total))
            return total

        return join
    operation = {
        "-": values.subtract,
        "*": values.multiply,
        "/": values.divide_exactly if is_fractional(node) else values.divide,
        "%": values.remainder,
    }[node.op]
    return lambda env: operation(left(env), right(env))


def is_fractional(node: ast.Node) -> bool:
    """Whether the source says that this number may have a fraction: a literal like `2.0`, a
    `double()`, or arithmetic with one."""
    match node:
        case ast.Literal():
            return isinstance(node.value, Decimal)
        case ast.Call():
            return node.function == "double"
        case ast.Arithmetic():
            return is_fractional(node.left) or is_fractional(node.right)
        case ast.Negate():
            return is_fractional(node.operand)
        case _:
            return False


def _logic(operands: tuple[Evaluate, ...], *, decisive: bool) -> Evaluate:
    """`||` is decided by true, `&&` by false; a fault counts only if nothing decides."""

    def decide(env: Environment) -> bool:
        fault: Fault | None = None
        for operand in operands:
            try:
                value = operand(env)
            except Fault as error:
                fault = error
                continue
            if not isinstance(value, bool):
                fault = Fault(f"{values.describe(value)} is not true or false")
            elif value == decisive:
                return decisive
        if fault is not None:
            raise fault
        return not decisive

    return decide


def _choice(node: ast.Choice) -> Evaluate:
    condition = compile_predicate(node.condition)
    then, otherwise = compile_predicate(node.then), compile_predicate(node.otherwise)
    return lambda env: then(env) if values.truth(condition(env)) else otherwise(env)


def _macro(node: ast.Macro) -> Evaluate:
    operand, body, name = (
        compile_predicate(node.operand),
        compile_predicate(node.body),
        node.variable,
    )
    condition = None if node.condition is None else compile_predicate(node.condition)

    def each(env: Environment) -> list[Value]:
        """The items, or the keys of a map; paid for."""
        container = operand(env)
        if isinstance(container, Mapping):
            container = sorted(container)  # the order that SQL has too
        if not isinstance(container, list | tuple):
            raise Fault(f"{node.macro}() needs a list or a map")
        env[_STATE].spend(len(container) + 1)
        return list(container)

    def results(env: Environment, part: Evaluate) -> Iterator[tuple[Value, Value]]:
        items, variables = each(env), env[_STATE].variables
        for item in items:
            variables[name] = item
            yield item, part(env)

    def quantify(env: Environment, decisive: bool) -> bool:
        items, variables = each(env), env[_STATE].variables
        fault: Fault | None = None
        for item in items:
            variables[name] = item
            try:
                if values.truth(body(env)) is decisive:
                    return decisive
            except Fault as error:
                fault = error
        if fault is not None:
            raise fault
        return not decisive

    match node.macro:
        case "all":
            return lambda env: quantify(env, False)
        case "exists":
            return lambda env: quantify(env, True)
        case "exists_one":
            return lambda env: sum(values.truth(hit) for _, hit in results(env, body)) == 1
        case "filter":
            return lambda env: [item for item, hit in results(env, body) if values.truth(hit)]
        case "map" if condition is None:
            return lambda env: [made for _, made in results(env, body)]
        case "map":
            test = condition
            return lambda env: [body(env) for _, hit in results(env, test) if values.truth(hit)]
