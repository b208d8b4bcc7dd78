"""Cgroups v2, against a directory that behaves like its file system.

The real v1 hierarchies are used by tests/security; a delegated v2 subtree with controllers is not
to be had on every machine, so what is written where is held fast here.
"""

import errno
import os
import shutil
from pathlib import Path

import pytest

from functions.host.cgroups import Hierarchy, NoGroup, Tree, _hierarchy, _Mount

FILES = {
    "cgroup.procs": "",
    "cgroup.subtree_control": "",
    "cgroup.freeze": "0",
    "memory.max": "max",
    "memory.swap.max": "max",
    "memory.oom.group": "0",
    "memory.peak": "0",
    "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n",
    "pids.max": "max",
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process's cgroup; directories made below it are filled like cgroups."""
    make = Path.mkdir

    def mkdir(self: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        make(self, mode, parents, exist_ok)
        for name, content in FILES.items():
            (self / name).write_text(content)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(Path, "rmdir", lambda self: shutil.rmtree(self))
    path = tmp_path / "own"
    path.mkdir()
    return path


def tree_of(own: Path) -> Tree:
    return Tree([Hierarchy(controllers=frozenset(("memory", "pids", "cpu")), is_v2=True, path=own)])


def test_the_host_steps_aside_before_controllers_are_passed_on(own: Path) -> None:
    tree = tree_of(own)
    assert tree.is_v2
    assert (own / "baas-host-self" / "cgroup.procs").read_text() == "0"
    for path in (own, tree.parents[0]):
        passed_on = (path / "cgroup.subtree_control").read_text().split()
        assert sorted(passed_on) == ["+cpu", "+memory", "+pids"]


def test_limits_are_written_in_bytes_and_a_kill_takes_the_whole_sandbox(own: Path) -> None:
    group = tree_of(own).make("s1")
    group.limit(memory_mb=128, processes=64)
    place = next(own.glob("baas-host-*/s1"))
    assert (place / "memory.max").read_text() == str(128 << 20)
    assert (place / "memory.swap.max").read_text() == "0"
    assert (place / "memory.oom.group").read_text() == "1"
    assert (place / "pids.max").read_text() == "64"


def test_figures_are_read_and_the_freezer_is_written(own: Path) -> None:
    group = tree_of(own).make("s1")
    place = next(own.glob("baas-host-*/s1"))
    (place / "memory.peak").write_text(str((20 << 20) + 1))
    (place / "memory.events").write_text("oom 2\noom_kill 3\n")
    assert group.peak_memory_mb() == 21
    assert group.oom_kills() == 3
    assert group.has_freezer
    group.freeze(True)
    assert (place / "cgroup.freeze").read_text() == "1"
    assert group.remove()
    assert not place.exists()


def test_without_memory_or_pids_there_is_no_tree(own: Path) -> None:
    with pytest.raises(OSError, match="memory and pids"):
        Tree([Hierarchy(controllers=frozenset(("cpu",)), is_v2=True, path=own)])


def test_left_overs_of_dead_hosts_are_removed_and_those_of_living_ones_kept(own: Path) -> None:
    (own / "baas-host-1").mkdir()  # pid 1 always lives
    (own / "baas-host-999999999").mkdir()
    (own / "baas-host-999999999" / "s1").mkdir()
    tree_of(own)
    assert (own / "baas-host-1").exists()
    assert not (own / "baas-host-999999999").exists()


def test_paths_are_found_below_a_mount_of_a_part_of_the_hierarchy() -> None:
    mount = _Mount(is_v2=False, options=frozenset(("memory",)), root="/outer", place=Path("/cg"))
    found = _hierarchy("/outer/inner", frozenset(("memory",)), mount)
    assert found.path == Path("/cg/inner")


def test_a_node_without_cgroups_says_so_by_its_figures() -> None:
    group = NoGroup()
    assert not group.has_freezer
    assert group.open_entrances() == []
    assert group.remove()
    with pytest.raises(RuntimeError):
        group.freeze(True)


def test_half_a_group_is_taken_away_again(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tree_of(own)
    opened = os.open

    def refuse(path: str | Path, flags: int, *, dir_fd: int | None = None) -> int:
        if Path(path).name == "cgroup.freeze":
            raise OSError(errno.EMFILE, "no descriptor is left")
        return opened(path, flags, dir_fd=dir_fd)

    with monkeypatch.context() as full:
        full.setattr(os, "open", refuse)
        with pytest.raises(OSError, match="no descriptor"):
            tree.make("s1")
    assert not list(own.glob("baas-host-*/s1"))
    assert tree.make("s1").remove()
