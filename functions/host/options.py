"""What the host is told on its command line."""

import argparse
import os
import resource
from dataclasses import dataclass
from pathlib import Path

from functions.host.cgroups import read_hierarchies

_DESCRIPTORS = 16  # of this process, for each sandbox


@dataclass(frozen=True, kw_only=True)
class Options:
    """The host's settings; sizes and times in the units of their names."""

    socket: Path
    data_dir: Path
    api_url: str  # unix:///path/web.sock or http://127.0.0.1:port
    tier: str
    memory_mb: int  # for all sandboxes together
    uid_base: int  # root mode: sandboxes get uids from here on
    max_instances: int
    prepared_instances: int  # sandboxes that wait for any function
    prepared_nodes: int  # the same with Node, of each heap size lately used
    idle_timeout_s: float
    node: bool  # False: behave as where Node is not installed
    cgroups: bool  # False: behave as on a node that has none


def _half_of_memory_mb() -> int:
    """Half of what this machine, or the container that it is in, has."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for hierarchy in read_hierarchies():
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = hierarchy.path / name
            text = limit.read_text().strip() if limit.exists() else "max"
            sizes += [] if text == "max" else [int(text)]
    return min(sizes) // (2 << 20)


def _most_instances() -> int:
    """For how many this process may open descriptors; each takes nine, the rest is to spare."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, hard // _DESCRIPTORS) if hard != resource.RLIM_INFINITY else 1 << 20


def parse(arguments: list[str]) -> Options:
    """Read the command line; exits with a message when it is wrong."""
    parser = argparse.ArgumentParser(prog="functions.host", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="Unix socket to listen on")
    parser.add_argument("--data-dir", type=Path, required=True, help="cache of unpacked packages")
    parser.add_argument("--api-url", required=True, help="where context.baas is forwarded to")
    parser.add_argument("--tier", choices=["t1", "t0"], default="t1", help="isolation tier")
    parser.add_argument(
        "--memory-mb", type=int, default=_half_of_memory_mb(), help="for all sandboxes together"
    )
    parser.add_argument("--uid-base", type=int, default=200_000, help="first uid of sandboxes")
    parser.add_argument("--max-instances", type=int, default=400)
    parser.add_argument("--prepared-instances", type=int, default=2, help="made ahead of need")
    parser.add_argument("--prepared-nodes", type=int, default=2, help="made ahead, with Node")
    parser.add_argument("--idle-timeout-s", type=float, default=300.0)
    parser.add_argument("--no-node", action="store_true", help="run Python functions only")
    parser.add_argument("--no-cgroups", action="store_true", help="use rlimits and a watchdog")
    found = parser.parse_args(arguments)
    if not found.api_url.startswith(("unix:///", "http://")):
        parser.error("--api-url must be unix:///path or http://host:port")
    return Options(
        socket=found.socket.absolute(),
        data_dir=found.data_dir.absolute(),
        api_url=found.api_url,
        tier=found.tier,
        memory_mb=found.memory_mb,
        uid_base=found.uid_base,
        max_instances=min(found.max_instances, _most_instances()),
        prepared_instances=found.prepared_instances,
        prepared_nodes=found.prepared_nodes,
        idle_timeout_s=found.idle_timeout_s,
        node=not found.no_node,
        cgroups=not found.no_cgroups,
    )
