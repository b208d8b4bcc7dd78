"""What this node can do: the probe at start, the self-test, and the zygote that is in use."""

import asyncio
import hashlib
import io
import json
import logging
import os
import re
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from functions.host.bridge import Api
from functions.host.cgroups import CgroupMode, Group, NoGroup, Tree, open_tree
from functions.host.codestore import CodeStore
from functions.host.freezer import descendants
from functions.host.instance import Instance, LoadError, Slot
from functions.host.interpreter import Interpreter, UnsafeLayoutError, examine
from functions.host.kinds import PYTHON, Kind, node_kind
from functions.host.nodejs import NodeProgram, find
from functions.host.options import Options
from functions.host.programs import Programs, python_only, with_node
from functions.host.zygotes import IsolationError, Zygote, spawn
from functions.runtypes import RunSpec
from functions.sandbox import mounts, selftest, syscalls
from functions.sandbox.child import Mode
from functions.sandbox.limits import OPEN_FILES, Limits

log = logging.getLogger("functions.host.node")

_ZYGOTE_FORKS: Final = 10_000  # forks share one memory layout and hash seed
_ZYGOTE_AGE_S: Final = 3600.0
_SELFTEST: Final = "selftest"
_NODE_MODULE: Final = Path(selftest.__file__).parent / "node" / "selftest.js"


@dataclass(kw_only=True)
class Report:
    """What status tells about isolation."""

    ready: bool = False
    problem: str = ""  # which layer is missing, when not ready
    mode: str = ""
    cgroups: CgroupMode = "none"
    cgroups_problem: str = ""
    freezer: str = ""
    landlock_abi: int = 0
    layers: list[str] = field(default_factory=list)
    runtimes: dict[str, str] = field(default_factory=dict)  # asked for → installed
    node_problem: str = ""  # why there is no Node, when there is none

    def can_run_node(self, wanted: str) -> bool:
        """Whether a function deployed for this Node (nodejs22) runs: later ones are compatible."""
        installed = self.runtimes.get("nodejs", "").removeprefix("nodejs")
        least = wanted.removeprefix("nodejs") or "0"
        is_node = wanted.startswith("nodejs") and least.isdecimal() and len(least) < 5
        return bool(installed) and is_node and int(least) <= int(installed)


class Node:
    """Isolation on this machine."""

    def __init__(self, options: Options, store: CodeStore, api: Api) -> None:
        self.report = Report(landlock_abi=syscalls.landlock_abi())
        self.probed = asyncio.Event()
        self._options = options
        self._store = store
        self._api = api
        self._tree: Tree | None = None
        self._interpreter: Interpreter
        self._programs: Programs
        self._mode: Mode = "user"
        self._zygote: Zygote | None = None
        self._retired: list[Zygote] = []
        self._spawning = asyncio.Lock()
        self._is_closing = False
        self._stage = options.data_dir / "stage"

    async def probe(self) -> None:
        """Find the strongest isolation that works here and test it. Never raises for the node.

        Afterwards `report.ready` says whether functions may run, else `report.problem` why not.
        """
        try:
            await self._probe()
        except (IsolationError, UnsafeLayoutError, LoadError, OSError) as error:
            self.report.problem = str(error)
            log.error("functions cannot run on this node: %s", error)  # noqa: TRY400 - no bug here
        else:
            self.report.ready = True
            log.info("isolation is ready: %s", ", ".join(self.report.layers))
        self.probed.set()

    async def _probe(self) -> None:
        if self._options.tier == "t0":
            raise IsolationError("tier t0 is not built yet; use t1")
        product = Path(__file__).resolve().parent.parent.parent
        secret_places = [product, self._options.data_dir, self._options.socket]
        if sys.prefix != sys.base_prefix:
            secret_places.append(Path(sys.prefix).resolve())
        self._interpreter = await asyncio.to_thread(examine, secret_places)
        self._stage.mkdir(mode=0o755, exist_ok=True)
        self._programs = python_only(self._interpreter)
        program = await asyncio.to_thread(self._find_node, secret_places)
        try:
            await self._choose_mode()
        except IsolationError as error:
            if program is None:
                raise
            log.warning("a root with Node in it cannot be made, trying without: %s", error)
            self.report.node_problem, program = str(error), None
            self._programs = python_only(self._interpreter)
            await self._choose_mode()
        if self._options.cgroups:
            found = open_tree()
            self.report.cgroups, self._tree, self.report.cgroups_problem = found
        else:
            self.report.cgroups_problem = "switched off"
        frozen_by_cgroup = self._tree is not None and self._tree.freezer is not None
        self.report.freezer = "cgroup" if frozen_by_cgroup else "sigstop"
        self.report.layers = self._layers()
        await self._test(PYTHON)
        self.report.runtimes["python3"] = f"python{sys.version_info.major}.{sys.version_info.minor}"
        if program is not None:
            await self._try_node(program)

    def _find_node(self, secret_places: list[Path]) -> NodeProgram | None:
        """Look for Node and plan with it when it is there; it is never in the way of Python."""
        program = find() if self._options.node else None
        if program is None:
            problem = "Node is not installed." if self._options.node else "Node is switched off."
            self.report.node_problem = problem
            return None
        try:
            self._programs = with_node(self._interpreter, program, secret_places)
        except UnsafeLayoutError as error:
            self.report.node_problem = str(error)
            return None
        return program

    async def _try_node(self, program: NodeProgram) -> None:
        try:
            await self._test(node_kind(128))
        except (IsolationError, LoadError, OSError) as error:
            self.report.node_problem = str(error)
            log.warning("%s cannot be used for functions: %s", program.path, error)
            return
        self.report.runtimes["nodejs"] = self.report.runtimes[program.name] = program.name

    async def _choose_mode(self) -> None:
        """Root first, since it gives every sandbox a uid of its own; else user namespaces."""
        modes: tuple[Mode, ...] = ("root", "user") if os.geteuid() == 0 else ("user",)
        problems = []
        for mode in modes:
            try:
                self._mode = mode
                if mode == "root":
                    self._require_uids()
                self._zygote = await self._spawn()
            except IsolationError as error:
                problems.append(f"{mode} mode: {error}")
                continue
            self.report.mode = mode
            return
        raise IsolationError("; ".join(problems))

    def _require_uids(self) -> None:
        """Root of a container's user namespace may lack the uids that sandboxes would get."""
        first = self._options.uid_base
        last = first + 2 * self._options.max_instances  # those that are being torn down, too
        for line in Path("/proc/self/uid_map").read_text().splitlines():
            start, _, count = (int(number) for number in line.split())
            if start <= first and last < start + count:
                return
        raise IsolationError(f"the uids {first} to {last} do not exist in this user namespace")

    def _layers(self) -> list[str]:
        identity = "own uid" if self._mode == "root" else "own user namespace"
        layers = ["own pid, mount, net, ipc, uts and cgroup namespaces", identity]
        layers += ["read-only root", "no capabilities", "no_new_privs", "seccomp allow-list"]
        if self.report.landlock_abi:
            layers.append(f"landlock abi {self.report.landlock_abi}")
        layers.append("rlimits")
        if self._tree is None:
            return [*layers, "memory watchdog"]
        return [*layers, f"cgroup {self.report.cgroups}"]

    async def _spawn(self) -> Zygote:
        if self._is_closing:
            raise IsolationError("the function host is ending")
        place = self._stage
        return await spawn(self._mode, self._programs, stage=place, store=self._store.root)

    async def zygote(self) -> Zygote:
        """The zygote to fork from: a new one when it died, grew old or forked often."""
        current = self._zygote
        if current is not None and current.is_alive and not self._is_worn(current):
            return current
        async with self._spawning:
            if self._zygote is current:
                fresh = await self._spawn()
                if current is not None:
                    self._retired.append(current)
                self._zygote = fresh
        self._end_retired()
        return await self.zygote()

    def _is_worn(self, zygote: Zygote) -> bool:
        age_s = asyncio.get_running_loop().time() - zygote.born_s
        return zygote.forks >= _ZYGOTE_FORKS or age_s > _ZYGOTE_AGE_S

    def _end_retired(self) -> None:
        for zygote in self._retired[:]:
            if zygote.instances == 0:
                zygote.stop()
                self._retired.remove(zygote)

    def make_group(self, number: int) -> Group:
        """Make the cgroups of a sandbox."""
        return self._tree.make(f"s{number}") if self._tree else NoGroup()

    async def close(self) -> None:
        """End all sandboxes and clean up; no zygote is started from here on."""
        self._is_closing = True
        for zygote in filter(None, [self._zygote, *self._retired]):
            zygote.stop()
            await zygote.wait()
        if self._tree is not None:
            self._tree.close()

    def _look(self, pid: int) -> list[str]:
        problems = _look_from_outside(pid)
        if self._tree is not None and not self._tree.holds(pid, "s0"):
            problems.append("it is not in its cgroups")
        return problems

    async def _test(self, kind: Kind) -> None:
        """Run the built-in attack in a sandbox, and look at the sandbox from outside."""
        package = _selftest_package()
        digest = hashlib.sha256(package).hexdigest()
        await self._store.put(_SELFTEST, digest, package)
        spec = RunSpec(
            invocation_id=_SELFTEST,
            project=_SELFTEST,
            project_slug=_SELFTEST,
            function=_SELFTEST,
            version=1,
            digest=digest,
            event=json.dumps({"landlock_abi": self.report.landlock_abi}).encode(),
            runtime=kind.runtime,
            handler="selftest.main" if kind.runtime == "nodejs" else "selftest.handler",
        )
        slot = Slot(number=0, uid=self._options.uid_base, group=self.make_group(0))
        instance = Instance(slot, kind, self._api)
        try:
            await instance.prepare(await self.zygote())
            await instance.load(spec, f"{_SELFTEST}/{digest}")
            problems = [problem for pid in descendants(instance.pid) for problem in self._look(pid)]
            result = await instance.call(spec)
            problems += _judge(result.result)
            if result.error:
                problems.append(result.error.message)
        finally:
            await instance.end("selftest")
            while not slot.group.remove():
                await asyncio.sleep(0.005)
        if problems:
            raise IsolationError(f"the self-test failed: {', '.join(problems)}")


def _selftest_package() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.write(selftest.__file__, "selftest.py")
        archive.write(_NODE_MODULE, "selftest.js")
    return buffer.getvalue()


def _judge(result: bytes | None) -> list[str]:
    if result is None:
        return ["it gave no result"]
    found: dict[str, Any] = json.loads(result)
    problems = [f"{name} was not refused" for name in found["succeeded"]]
    if found["pid"] != 1:
        problems.append("it has no pid namespace of its own")
    return problems


def _is_initial_user_namespace() -> bool:
    """False where uid 0 is only called so (`unshare -r`, rootless containers)."""
    return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def _look_from_outside(pid: int) -> list[str]:
    """What the kernel says of a sandbox, which nothing inside can falsify."""
    status = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        status[name] = value.strip()
    wanted = {"Seccomp": "2", "NoNewPrivs": "1"}
    problems = [f"{k} is {status.get(k)}" for k, v in wanted.items() if status.get(k) != v]
    capabilities = ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")
    problems += [f"{name} is {status[name]}" for name in capabilities if int(status[name], 16)]
    if status["Uid"].split()[0] == "0" and _is_initial_user_namespace():
        problems.append("it runs as root")
    problems += _look_at_limits(pid) + _look_at_mounts(pid)
    for name in ("pid", "mnt", "net", "ipc", "uts", "cgroup"):
        shared = os.readlink(f"/proc/self/ns/{name}") == os.readlink(f"/proc/{pid}/ns/{name}")
        problems += [f"it shares the host's {name} namespace"] if shared else []
    return problems


def _look_at_limits(pid: int) -> list[str]:
    limits = Path(f"/proc/{pid}/limits").read_text()
    wanted = {"processes": Limits(memory_mb=0).processes, "open files": OPEN_FILES}
    wanted["core file size"] = 0
    pattern = r"^Max {}\s+{}\s+{}\s"
    return [
        f"its limit of {name} is not {value}"
        for name, value in wanted.items()
        if not re.search(pattern.format(name, value, value), limits, re.MULTILINE)
    ]


def _look_at_mounts(pid: int) -> list[str]:
    lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    places = {line.split(" ")[4] for line in lines}
    problems = [f"it sees {p}" for p in (mounts.STORE, *mounts.ZYGOTE_ONLY) if p in places]
    return problems + [f"it has no {p}" for p in (mounts.TMP, mounts.CODE) if p not in places]
