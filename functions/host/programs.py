"""What sandboxes are made to show: the interpreter, Node where there is one, and who sees which."""

from dataclasses import dataclass
from pathlib import Path

from functions.host.interpreter import ALSO, Interpreter, is_beneath, require_apart
from functions.host.nodejs import NodeProgram
from functions.sandbox import mounts

_WORKER = Path(__file__).resolve().parent.parent / "sandbox" / "node"


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The root of all sandboxes of a node; see mounts.RootPlan."""

    python: str
    read_only: tuple[str, ...]
    hidden: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    placed: tuple[tuple[str, str], ...]
    unseen: dict[str, list[str]]  # runtime → what is taken away from its sandboxes


def python_only(interpreter: Interpreter) -> Programs:
    """A root for Python functions alone."""
    return Programs(
        python=interpreter.python,
        read_only=interpreter.read_only,
        hidden=interpreter.hidden,
        links=interpreter.links,
        placed=(),
        unseen={"python3": []},
    )


def with_node(interpreter: Interpreter, node: NodeProgram, secret_places: list[Path]) -> Programs:
    """A root for both. Node's program and our worker lie at places of their own.

    Raises UnsafeLayoutError when one of `secret_places` would be shown.
    """
    shown = interpreter.read_only
    own = [file for file in node.libraries if not any(is_beneath(file, path) for path in shown)]
    require_apart(tuple(own), secret_places)
    placed = ((node.path, mounts.NODE), (str(_WORKER), mounts.NODE_WORKER))
    kept = (*node.libraries, *ALSO)
    foreign = [path for path in shown if not any(is_beneath(file, path) for file in kept)]
    unseen = {"python3": [*own, *(path for _, path in placed)], "nodejs": foreign}
    return Programs(
        python=interpreter.python,
        read_only=(*shown, *own),
        hidden=interpreter.hidden,
        links=interpreter.links,
        placed=placed,
        unseen=unseen,
    )
