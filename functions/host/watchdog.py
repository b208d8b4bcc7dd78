"""Memory without cgroups: look at what runs every few milliseconds and kill what is too large."""

import asyncio
import re
from pathlib import Path
from typing import Final

from functions.host.freezer import descendants
from functions.host.pool import Pool

_INTERVAL_S: Final = 0.02
_PROPORTIONAL: Final = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)
# What is resident, and the page tables: those of a huge sparse mapping can outgrow all else.
_RESIDENT: Final = re.compile(rb"^Vm(?:RSS|PTE):\s+(\d+) kB$", re.MULTILINE)
_TABLES: Final = re.compile(rb"^VmPTE:\s+(\d+) kB$", re.MULTILINE)


def resident_mb(pid: int) -> int:
    """Resident memory of a process and all below it, whole MiB; 0 when it is gone.

    Cheap, and too much: pages shared after a fork are counted for each process.
    """
    kilobytes = 0
    for process in descendants(pid):
        try:
            status = Path(f"/proc/{process}/status").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        kilobytes += sum(int(m) for m in _RESIDENT.findall(status))
    return kilobytes >> 10


def proportional_mb(pid: int) -> int:
    """The same with every shared page counted once: exact, and slower by a page table walk."""
    kilobytes = 0
    for process in descendants(pid):
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
            status = Path(f"/proc/{process}/status").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        kilobytes += sum(int(m) for m in _PROPORTIONAL.findall(text))
        kilobytes += sum(int(m) for m in _TABLES.findall(status))
    return kilobytes >> 10


async def watch(pool: Pool) -> None:
    """Kill instances over their limit; runs until cancelled."""
    loop = asyncio.get_running_loop()
    pause_s = _INTERVAL_S
    while True:
        await pool.active.wait()
        await asyncio.sleep(pause_s)
        begun = loop.time()
        for instance in pool.running_instances():
            limit_mb = instance.spec.memory_mb + instance.kind.own_mb
            if instance.pid and resident_mb(instance.pid) > limit_mb < proportional_mb(
                instance.pid
            ):
                instance.kill("memory")
        # Sandboxes with many processes are slow to look at; most of the time is for serving.
        pause_s = max(_INTERVAL_S, 4 * (loop.time() - begun))
