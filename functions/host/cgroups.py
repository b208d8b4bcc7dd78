"""Cgroups: v1 hierarchies as root, a delegated v2 subtree otherwise, or none at all.

Every hierarchy gets one directory per host process (`baas-host-<pid>`) below the host's own
cgroup, and in it one per sandbox. `cgroup.freeze` and `cgroup.kill` belong to v2's core, which is
often mounted beside v1 (`/sys/fs/cgroup/unified`); where it is, sandboxes are frozen through it.
"""

import contextlib
import errno
import logging
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

log = logging.getLogger("functions.host.cgroups")

_PREFIX = "baas-host-"
_CONTROLLERS = ("memory", "pids", "cpu")
CgroupMode = Literal["v1", "v2", "none"]


@dataclass(frozen=True, kw_only=True)
class Hierarchy:
    """A cgroup file system and this process's directory in it."""

    controllers: frozenset[str]  # empty for the core of v2 beside v1
    is_v2: bool
    path: Path


@dataclass(frozen=True, kw_only=True)
class _Mount:
    is_v2: bool
    options: frozenset[str]  # v1: the controllers among them
    root: str
    place: Path


def _read_mounts() -> list[_Mount]:
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            root, place = left.split(" ")[3:5]
            names = frozenset(options.split(",")) if kind == "cgroup" else frozenset()
            found.append(
                _Mount(is_v2=kind == "cgroup2", options=names, root=root, place=Path(place))
            )
    return found


def _hierarchy(own: str, names: frozenset[str], mount: _Mount) -> Hierarchy:
    path = mount.place / os.path.relpath(own, mount.root)
    listed = path / "cgroup.controllers"
    if mount.is_v2 and listed.exists():
        names = frozenset(listed.read_text().split())
    return Hierarchy(controllers=names, is_v2=mount.is_v2, path=path)


def read_hierarchies() -> list[Hierarchy]:
    """The cgroup hierarchies that this process is in and can see."""
    mounts = _read_mounts()
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, text, own = line.split(":", 2)
        names = frozenset(filter(None, text.split(",")))
        for mount in mounts:
            if mount.is_v2 != (not names) or not names <= mount.options:
                continue
            found.append(_hierarchy(own, names, mount))
            break
    return found


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _remove_group(path: Path) -> bool:
    """Remove an empty cgroup; False while the kernel still holds it."""
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno == errno.EBUSY:
            return False
        raise
    return True


class Group(Protocol):
    """The cgroups of one sandbox."""

    @property
    def has_freezer(self) -> bool:
        """Whether freeze() works."""
        ...

    def limit(self, *, memory_mb: int, processes: int) -> None:
        """Set this sandbox's ceilings; before anyone enters."""
        ...

    def open_entrances(self) -> list[int]:
        """Open the files by which a process enters; the caller closes them."""
        ...

    def peak_memory_mb(self) -> int:
        """The highest use since reset_peak, whole MiB rounded up, 0 when unknown."""
        ...

    def reset_peak(self) -> None:
        """Begin a new measurement."""
        ...

    def oom_kills(self) -> int:
        """How often the kernel killed here for want of memory, ever."""
        ...

    def freeze(self, frozen: bool) -> None:
        """Stop all processes (they can still be killed), or let them go on."""
        ...

    def remove(self) -> bool:
        """Remove the directories; False when processes are still being torn down."""
        ...


class ControlledGroup:
    """A directory in each hierarchy in use."""

    def __init__(self, name: str, tree: "Tree") -> None:
        self._memory = tree.memory / name
        self._pids = tree.pids / name
        self._freezer = tree.freezer / name if tree.freezer else None
        self._paths = [parent / name for parent in tree.parents]
        self._is_v2 = tree.is_v2
        self._peak = self._state = -1
        try:
            self._make()
        except OSError:
            self.remove()  # what is left of half a group would be in the way of the next one
            raise

    def _make(self) -> None:
        for path in self._paths:
            path.mkdir()
        peak = "memory.peak" if self._is_v2 else "memory.max_usage_in_bytes"
        self._peak = os.open(self._memory / peak, os.O_RDONLY if self._is_v2 else os.O_RDWR)
        if self._freezer:
            self._state = os.open(self._freezer / "cgroup.freeze", os.O_WRONLY)

    @property
    def has_freezer(self) -> bool:
        return self._freezer is not None

    def limit(self, *, memory_mb: int, processes: int) -> None:
        size = str(memory_mb << 20)
        if self._is_v2:
            _write(self._memory / "memory.max", size)
            _write(self._memory / "memory.oom.group", "1")
            swap = self._memory / "memory.swap.max"
            if swap.exists():
                _write(swap, "0")
        else:
            _write(self._memory / "memory.limit_in_bytes", size)
            both = self._memory / "memory.memsw.limit_in_bytes"
            if both.exists():
                _write(both, size)
        _write(self._pids / "pids.max", str(processes))

    def open_entrances(self) -> list[int]:
        return [os.open(path / "cgroup.procs", os.O_WRONLY) for path in self._paths]

    def peak_memory_mb(self) -> int:
        return -(-int(os.pread(self._peak, 32, 0)) >> 20)

    def reset_peak(self) -> None:
        if not self._is_v2:  # v2 resets per open file from Linux 6.12 on; the peak of all calls
            os.pwrite(self._peak, b"0", 0)  # of an instance is a fair figure there

    def oom_kills(self) -> int:
        name = "memory.events" if self._is_v2 else "memory.oom_control"
        for line in (self._memory / name).read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
        return 0

    def freeze(self, frozen: bool) -> None:
        os.write(self._state, b"1" if frozen else b"0")

    def remove(self) -> bool:
        for descriptor in (self._peak, self._state):
            if descriptor >= 0:
                os.close(descriptor)
        self._peak = self._state = -1
        removed = [_remove_group(path) for path in self._paths]  # all are tried
        return all(removed)


class NoGroup:
    """A node without cgroups: rlimits and the watchdog must do."""

    has_freezer = False

    def limit(self, *, memory_mb: int, processes: int) -> None:
        return

    def open_entrances(self) -> list[int]:
        return []

    def peak_memory_mb(self) -> int:
        return 0

    def reset_peak(self) -> None:
        return

    def oom_kills(self) -> int:
        return 0

    def freeze(self, frozen: bool) -> None:
        raise RuntimeError("there is no freezer here")

    def remove(self) -> bool:
        return True


class Tree:
    """This host's directories, one in each hierarchy; makes and cleans groups."""

    def __init__(self, hierarchies: list[Hierarchy]) -> None:
        self.is_v2 = any(h.is_v2 and "memory" in h.controllers for h in hierarchies)
        chosen = {}
        for controller in _CONTROLLERS:
            for hierarchy in hierarchies:
                if controller in hierarchy.controllers:
                    chosen[controller] = hierarchy
        missing = {"memory", "pids"} - chosen.keys()
        if missing:
            raise OSError(f"no cgroup controller for {' and '.join(sorted(missing))}")
        core = next((h for h in hierarchies if h.is_v2), None)
        used = list(dict.fromkeys(h.path for h in [*chosen.values(), *([core] if core else [])]))
        if self.is_v2:
            passed_on = " ".join(f"+{controller}" for controller in chosen)
            _delegate(chosen["memory"].path, passed_on)
        name = f"{_PREFIX}{os.getpid()}"
        self.parents = [path / name for path in used]
        for path in used:
            _clean_left_overs(path)
        for parent in self.parents:
            parent.mkdir()
        if self.is_v2:
            _write(self.parents[0] / "cgroup.subtree_control", passed_on)
        self.memory = chosen["memory"].path / name
        self.pids = chosen["pids"].path / name
        self.freezer = core.path / name if core else None
        if self.freezer and not self._can_freeze():
            self.freezer = None

    def _can_freeze(self) -> bool:
        return self.freezer is not None and (self.freezer / "cgroup.freeze").exists()

    def make(self, name: str) -> ControlledGroup:
        """Make the groups of one sandbox."""
        return ControlledGroup(name, self)

    def holds(self, pid: int, name: str) -> bool:
        """Whether a process is in the groups of this name, in every hierarchy."""
        return all(
            str(pid) in (parent / name / "cgroup.procs").read_text().split()
            for parent in self.parents
        )

    def close(self) -> None:
        """Remove this host's directories; what is still busy is left to the next host."""
        for parent in self.parents:
            _remove_tree(parent)


def _delegate(own: Path, controllers: str) -> None:
    """v2: processes live in leaves only, so step aside before controllers are passed on."""
    leaf = own / f"{_PREFIX}self"
    leaf.mkdir(exist_ok=True)
    _write(leaf / "cgroup.procs", "0")
    _write(own / "cgroup.subtree_control", controllers)


def _clean_left_overs(parent: Path) -> None:
    """Remove what hosts that were killed left behind; their processes died with them."""
    for path in parent.glob(f"{_PREFIX}*"):
        owner = path.name.removeprefix(_PREFIX)
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            _remove_tree(path)


def _remove_tree(path: Path) -> None:
    for child in [p for p in path.iterdir() if p.is_dir()] if path.exists() else []:
        for pid in (child / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        _remove_patiently(child)
    _remove_patiently(path)


def _remove_patiently(path: Path) -> None:
    for _ in range(100):
        if _remove_group(path):
            return
        time.sleep(0.01)
    log.warning("cgroup %s could not be removed", path)


def open_tree() -> tuple[CgroupMode, Tree | None, str]:
    """Return the best mode that works here, its tree, and why it is not a better one."""
    try:
        tree = Tree(read_hierarchies())
        probe = tree.make("probe")
        probe.limit(memory_mb=64, processes=8)
        probe.remove()
    except OSError as error:
        return "none", None, str(error)
    return ("v2" if tree.is_v2 else "v1"), tree, ""
