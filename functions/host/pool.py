"""Which sandbox serves which call: keep-alive under a memory budget, and fairness."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Coroutine, Hashable
from typing import Any, Final

from functions.host.bridge import Api
from functions.host.codestore import CodeStore
from functions.host.instance import Instance, LoadError, Slot
from functions.host.kinds import PYTHON, Kind, kind_of, node_kind
from functions.host.node import Node
from functions.host.options import Options
from functions.host.zygotes import IsolationError, Zygote
from functions.runtypes import RunError, RunResult, RunSpec

log = logging.getLogger("functions.host.pool")

CAPACITY_WAIT_S: Final = 5.0  # how long a call may wait for room on this node
_WAITING_CAP: Final = 64  # calls of one project
_PROJECT_SHARE: Final = 0.5  # of the budget, for what one project runs at one time
_IDLE_FLOOR_MB: Final = 8  # a frozen instance costs at least this much
_RECYCLE_CALLS: Final = 10_000
_RECYCLE_AGE_S: Final = 3600.0
_REFILL_DELAY_S: Final = 0.02
_SWEEP_S: Final = 1.0
_GROUP_RETRY_S: Final = 0.005
_USUAL_NODE: Final = node_kind(128)  # as deployments have it that say nothing else

Key = Hashable


class ThrottledError(Exception):
    """The call may not start now; the message says why."""


def key_of(spec: RunSpec) -> Key:
    """What two calls must have in common to share a sandbox."""
    return (
        spec.project,
        spec.function,
        spec.version,
        spec.digest,
        spec.project_slug,
        spec.handler,
        spec.runtime,
        spec.signature,
        spec.isolation,
        spec.memory_mb,
        tuple(sorted(spec.env.items())),
        spec.secret_names,
    )


class Pool:
    """All sandboxes of this node."""

    def __init__(self, options: Options, node: Node, store: CodeStore, api: Api) -> None:
        self._options = options
        self._node = node
        self._store = store
        self._api = api
        self._idle: dict[Key, list[Instance]] = {}
        self._living: dict[Instance, Key] = {}  # until their processes are gone
        self._busy_mb: Counter[str] = Counter()  # by project: calls running or starting
        self._running: Counter[tuple[str, str]] = Counter()  # by project and function
        self._prepared: list[Instance] = []
        self._preparing: Counter[Kind] = Counter()
        self._kinds: dict[Kind, float] = {}  # of Node, and when each was last asked for
        self._free_slots: list[int] = []
        self._next_slot = 1
        self._waiting: Counter[str] = Counter()  # by project
        self._room = asyncio.Condition()
        self.active = asyncio.Event()  # set while any function runs or starts
        self._tasks: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter()

    # --- calls ---------------------------------------------------------------------------------

    async def run(self, spec: RunSpec) -> RunResult:
        """Run one invocation in a warm or a new sandbox."""
        function = (spec.project, spec.function)
        if self._running[function] >= spec.max_concurrency:
            return _refusal(
                "Throttled", f"{spec.function} runs {spec.max_concurrency} calls already."
            )
        self._running[function] += 1
        begun = asyncio.get_running_loop().time()
        try:
            return await self._run(spec)
        except ThrottledError as error:
            return _refusal("Throttled", str(error))
        except LoadError as error:
            spent_s = asyncio.get_running_loop().time() - begun
            return RunResult(
                outcome=error.outcome,
                error=error.error,
                logs=error.logs,
                billed_ms=0 if error.outcome == "unavailable" else math.ceil(spent_s * 1000),
                cold=True,
            )
        finally:
            self._running[function] -= 1
            if not self._running[function]:
                del self._running[function]

    async def _run(self, spec: RunSpec) -> RunResult:
        key = key_of(spec)
        await self._take_room(spec, key)
        try:
            instance = self._pop_idle(key) or await self._start(spec, key)
            self.counts["calls"] += 1
            try:
                result = await instance.call(spec)
            except BaseException:
                instance.kill("host error")  # its state is unknown now
                raise
        finally:
            self._give_room(spec)
        self._put_back(instance, key)
        self._top_up(spec, key)
        return result

    def _pop_idle(self, key: Key) -> Instance | None:
        while instances := self._idle.get(key):
            instance = instances[-1]
            self._remove_idle(instance, key)
            if instance.is_usable:
                return instance
        return None

    def _remove_idle(self, instance: Instance, key: Key) -> None:
        instances = self._idle.get(key, [])
        if instance in instances:
            instances.remove(instance)
            if not instances:
                del self._idle[key]

    def _put_back(self, instance: Instance, key: Key) -> None:
        if not instance.is_usable:
            return
        age_s = instance.used_s - instance.born_s
        used_up = instance.spec.isolation == "per-call" or instance.calls >= _RECYCLE_CALLS
        if used_up or age_s > _RECYCLE_AGE_S:
            instance.kill("recycled")
        else:
            self._idle.setdefault(key, []).append(instance)

    # --- room ----------------------------------------------------------------------------------

    def _used_mb(self) -> int:
        idle = sum(
            max(_IDLE_FLOOR_MB, instance.peak_mb)
            for instances in self._idle.values()
            for instance in instances
        )
        return self._busy_mb.total() + idle

    def _usable(self) -> int:
        """Instances but for those that are on their way out."""
        return sum(1 for instance in self._living if instance.is_usable)

    def _has_room(self, spec: RunSpec, key: Key) -> bool:
        share = self._options.memory_mb * _PROJECT_SHARE
        if self._busy_mb[spec.project] + spec.memory_mb > max(share, spec.memory_mb):
            return False
        if self._idle.get(key):
            return self._busy_mb.total() + spec.memory_mb <= self._options.memory_mb
        while (
            self._used_mb() + spec.memory_mb > self._options.memory_mb
            or self._usable() >= self._options.max_instances
        ):
            if not self._evict_one():
                return False
        return True

    def _evict_one(self) -> bool:
        """Kill the idle instance that was used longest ago; False when there is none."""
        idle = [item for instances in self._idle.values() for item in instances]
        if not idle:
            return False
        self._drop(min(idle, key=lambda instance: instance.used_s), "evicted")
        return True

    def _drop(self, instance: Instance, reason: str) -> None:
        self._remove_idle(instance, self._living.get(instance))
        instance.kill(reason)

    async def _take_room(self, spec: RunSpec, key: Key) -> None:
        """Reserve memory for a call; ThrottledError when there is none for too long."""
        if not self._has_room(spec, key):
            await self._wait_for_room(spec, key)
        self._reserve(spec)

    def _reserve(self, spec: RunSpec) -> None:
        self._busy_mb[spec.project] += spec.memory_mb
        self.active.set()

    async def _wait_for_room(self, spec: RunSpec, key: Key) -> None:
        if self._waiting[spec.project] >= _WAITING_CAP:
            raise ThrottledError("This node is full.")
        self._waiting[spec.project] += 1
        try:
            async with asyncio.timeout(min(CAPACITY_WAIT_S, spec.timeout_s)), self._room:
                await self._room.wait_for(lambda: self._has_room(spec, key))
        except TimeoutError as error:
            raise ThrottledError("This node is full.") from error
        finally:
            self._waiting[spec.project] -= 1
            if not self._waiting[spec.project]:
                del self._waiting[spec.project]

    def _give_room(self, spec: RunSpec) -> None:
        self._busy_mb[spec.project] -= spec.memory_mb
        if self._busy_mb[spec.project] <= 0:
            del self._busy_mb[spec.project]
        if not self._busy_mb:
            self.active.clear()
        self._announce_room()

    def _announce_room(self) -> None:
        if self._waiting:
            self._spawn_task(self._notify())

    async def _notify(self) -> None:
        async with self._room:
            self._room.notify_all()

    def _spawn_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background work failed", exc_info=task.exception())

    # --- birth and death -----------------------------------------------------------------------

    async def _start(self, spec: RunSpec, key: Key) -> Instance:
        """Start and load an instance; LoadError when it does not come up."""
        kind = kind_of(spec)
        if kind != PYTHON:
            self._kinds[kind] = asyncio.get_running_loop().time()
        instance = await self._take_prepared(kind) or await self._prepare(kind)
        self._living[instance] = key
        self.counts["cold_starts"] += 1
        try:
            # KeyError when the package went while the call waited for room.
            await instance.load(spec, self._store.acquire(spec.project, spec.digest))
        except BaseException:
            instance.kill("host error")  # nobody else knows of it
            raise
        finally:
            # Not at once: the call that is about to run needs the processor more.
            asyncio.get_running_loop().call_later(_REFILL_DELAY_S, self._refill_soon)
        return instance

    def _refill_soon(self) -> None:
        self._spawn_task(self._refill())

    def _prepared_of(self, kind: Kind) -> list[Instance]:
        return [instance for instance in self._prepared if instance.kind == kind]

    async def _take_prepared(self, kind: Kind) -> Instance | None:
        """A sandbox that was prepared by the zygote now in use, if there is one."""
        if not self._prepared_of(kind):
            return None
        zygote = await self._zygote()
        while candidates := self._prepared_of(kind):
            instance = candidates[-1]
            self._prepared.remove(instance)
            if instance.is_usable and instance.zygote is zygote:
                return instance
            instance.kill("outdated")
        return None

    def _wanted(self) -> dict[Kind, int]:
        """How many sandboxes of each kind should wait."""
        wanted = {PYTHON: self._options.prepared_instances}
        # Who wait for any function must not take the place of those that have one.
        nodes = min(self._options.prepared_nodes, self._options.max_instances // 8)
        oldest_s = asyncio.get_running_loop().time() - self._options.idle_timeout_s
        for kind, used_s in self._kinds.items():
            wanted[kind] = nodes if used_s >= oldest_s else 0
        if self._node.report.runtimes.get("nodejs"):
            wanted[_USUAL_NODE] = nodes
        return wanted

    def _missing(self, kind: Kind, wanted: int) -> int:
        return max(0, wanted - len(self._prepared_of(kind)))

    async def _refill(self) -> None:
        """Have sandboxes prepared for what comes next."""
        for kind, wanted in self._wanted().items():
            while len(self._prepared_of(kind)) + self._preparing[kind] < wanted:
                self._preparing[kind] += 1
                try:
                    self._prepared.append(await self._prepare(kind))
                except LoadError as error:
                    log.warning("no sandbox could be prepared ahead: %s", error)
                    return
                finally:
                    self._preparing[kind] -= 1
            for spare in self._prepared_of(kind)[wanted:]:
                self._prepared.remove(spare)
                spare.kill("not needed")

    async def _zygote(self) -> Zygote:
        try:
            return await self._node.zygote()
        except (IsolationError, OSError) as error:
            fault = RunError(type="SandboxUnavailable", message=str(error))
            raise LoadError("unavailable", fault, ()) from error

    async def _prepare(self, kind: Kind) -> Instance:
        """Make a sandbox for any function of this kind; LoadError when that fails."""
        zygote = await self._zygote()
        number = self._free_slots.pop() if self._free_slots else self._new_slot()
        try:
            group = self._node.make_group(number)
        except OSError as error:
            self._free_slots.append(number)
            fault = RunError(type="SandboxUnavailable", message=str(error))
            raise LoadError("unavailable", fault, ()) from error
        slot = Slot(number=number, uid=self._options.uid_base + number, group=group)
        instance = Instance(slot, kind, self._api)
        instance.on_gone = self._on_gone
        self._living[instance] = None
        await instance.prepare(zygote)
        return instance

    def _new_slot(self) -> int:
        number, self._next_slot = self._next_slot, self._next_slot + 1
        return number

    def _on_gone(self, instance: Instance) -> None:
        key = self._living.pop(instance)
        self._remove_idle(instance, key)
        if instance in self._prepared:
            self._prepared.remove(instance)
        if instance.is_loaded:
            self._store.release(instance.spec.project, instance.spec.digest)
        self._free_slot(instance.slot)
        self._announce_room()

    def _free_slot(self, slot: Slot) -> None:
        """Use number and uid again only when the cgroups are gone, and so every process."""
        try:
            removed = slot.group.remove()
        except OSError:
            log.exception("the cgroups of slot %s cannot be removed", slot.number)
            return
        if removed:
            self._free_slots.append(slot.number)
        else:
            asyncio.get_running_loop().call_later(_GROUP_RETRY_S, self._free_slot, slot)

    def _top_up(self, spec: RunSpec, key: Key) -> None:
        """Start ahead what the function wants to have waiting."""
        wanted = max(spec.min_instances, 1 if spec.isolation == "per-call" else 0)
        present = sum(1 for other in self._living.values() if other == key) if wanted else 0
        if present < wanted and self._store.holds(spec.project, spec.digest):
            self._spawn_task(self._start_ahead(spec, key))

    async def _start_ahead(self, spec: RunSpec, key: Key) -> None:
        if self._waiting or not self._has_room(spec, key):
            return
        self._reserve(spec)
        try:
            instance = await self._start(spec, key)
        except LoadError as error:
            log.info("%s could not be started ahead: %s", spec.function, error)
            return
        finally:
            self._give_room(spec)
        instance.come_to_rest()
        if instance.is_usable:
            self._idle.setdefault(key, []).append(instance)

    # --- housekeeping --------------------------------------------------------------------------

    async def sweep(self) -> None:
        """End idle instances in time, keep some prepared; runs until cancelled."""
        loop = asyncio.get_running_loop()
        await self._node.probed.wait()
        while True:
            await asyncio.sleep(_SWEEP_S)
            if self._node.report.ready:
                await self._refill()
            oldest_s = loop.time() - self._options.idle_timeout_s
            for instances in list(self._idle.values()):
                keep = instances[0].spec.min_instances if instances else 0
                spare = instances[: max(0, len(instances) - keep)]
                for instance in [item for item in spare if item.used_s < oldest_s]:
                    self._drop(instance, "idle")

    def running_instances(self) -> list[Instance]:
        """Instances whose processes may run at this moment."""
        return [item for item in self._living if item.is_loaded and not item.is_frozen]

    async def inspect(self, spec: RunSpec) -> Instance:
        """Start an instance outside of the pool's idle lists; the caller must end it."""
        key = ("inspect", spec.invocation_id)
        await self._take_room(spec, key)
        try:
            return await self._start(spec, key)
        finally:
            self._give_room(spec)

    async def forget(self, project: str) -> None:
        """End all instances of a project."""
        loaded = [item for item in self._living if item.is_loaded]
        mine = [item for item in loaded if item.spec.project == project]
        for instance in mine:
            self._drop(instance, "forgotten")
        for instance in mine:
            await instance.gone

    def figures(self) -> dict[str, int]:
        """Counts for status."""
        idle = sum(len(instances) for instances in self._idle.values())
        return {
            "instances": sum(1 for instance in self._living if instance.is_loaded),
            "prepared": len(self._prepared),
            "to_prepare": sum(self._missing(*item) for item in self._wanted().items()),
            "idle": idle,
            "running": sum(self._running.values()),
            "waiting": self._waiting.total(),
            "memory_used_mb": self._used_mb(),
            "memory_budget_mb": self._options.memory_mb,
            **self.counts,
        }


def _refusal(kind: str, message: str) -> RunResult:
    return RunResult(outcome="throttled", error=RunError(type=kind, message=message))
