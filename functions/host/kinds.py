"""The kinds of sandboxes: what must be known of a function before one can be prepared for it."""

from dataclasses import dataclass
from typing import Literal

from functions.runtypes import RunSpec
from functions.sandbox.limits import INTERPRETER_MB, NODE_MB

Runtime = Literal["python3", "nodejs"]
SMALLEST_NODE_MB = 64  # with less, V8 and its threads leave nothing for a function


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Sandboxes of one kind are alike until a function is assigned."""

    runtime: Runtime
    heap_mb: int = 0  # Node: V8 takes the ceiling of its heap when it starts, and never again

    @property
    def own_mb(self) -> int:
        """Memory of the runtime itself, for which the function is not blamed."""
        return NODE_MB if self.runtime == "nodejs" else INTERPRETER_MB


PYTHON = Kind(runtime="python3")


def node_kind(memory_mb: int) -> Kind:
    """The kind for Node functions with this ceiling.

    There are few: the heap is three quarters of the next power of two.
    """
    size = SMALLEST_NODE_MB
    while size < memory_mb:
        size *= 2
    return Kind(runtime="nodejs", heap_mb=size * 3 // 4)


def kind_of(spec: RunSpec) -> Kind:
    """The kind of sandbox that runs this function."""
    return node_kind(spec.memory_mb) if spec.runtime.startswith("nodejs") else PYTHON
