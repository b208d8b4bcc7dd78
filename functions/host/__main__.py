"""`python -m functions.host`: start the function host and serve until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import resource
import signal
import sys

from functions.host.bridge import Api
from functions.host.codestore import CodeStore
from functions.host.node import Node
from functions.host.options import Options, parse
from functions.host.pool import Pool
from functions.host.server import Service, listen
from functions.host.watchdog import watch

log = logging.getLogger("functions.host")


def refuse_secrets() -> None:
    """End the program when it was started with the product's environment."""
    found = sorted(name for name in os.environ if name.startswith(("BAAS_", "DJANGO_", "PG")))
    if found:
        sys.exit(
            f"functions.host must start from a clean environment, but {', '.join(found)} is set:"
            " start it with PATH and LANG only"
        )


def _raise_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def serve(options: Options) -> None:
    """Run the host until it is told to stop; then end every sandbox."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    api = Api(options.api_url)
    store = CodeStore(options.data_dir / "code")
    node = Node(options, store, api)
    pool = Pool(options, node, store, api)
    server = await listen(options.socket, Service(node, pool, store))
    chores = [loop.create_task(pool.sweep())]
    try:
        await node.probe()
        if node.report.cgroups == "none":
            chores.append(loop.create_task(watch(pool)))
        await stop.wait()
    finally:
        server.close()
        for chore in chores:
            chore.cancel()
        await node.close()
        api.client.close()
        options.socket.unlink(missing_ok=True)


def main() -> None:
    """Entry point."""
    options = parse(sys.argv[1:])
    refuse_secrets()
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    os.umask(0o022)
    options.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _raise_open_files()
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
