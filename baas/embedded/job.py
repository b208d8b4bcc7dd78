"""A program that is run once and waited for."""

from functools import partial

from baas.embedded import child
from baas.embedded.errors import StackError
from baas.embedded.keeper import wait_for_end
from baas.embedded.output import Lines, Output
from baas.embedded.process import Process


async def run(process: Process, output: Output) -> str:
    """Run it to its end and return its standard output; what it says on stderr goes to `output`.

    Raises StackError when it fails. A cancelled job is killed with all it started.
    """
    result: list[bytes] = []
    said = Lines(result.append)
    logged = Lines(partial(output.write, process.name))
    try:
        popen = child.spawn(
            process.argv,
            env=process.env,
            cwd=process.cwd,
            demote=process.demote,
            output=said.write_end,
            errors=logged.write_end,
            umask=process.umask,
        )
    finally:
        said.close_write_end()
        logged.close_write_end()
    try:
        await wait_for_end(popen.pid)
    finally:
        child.kill_group(popen.pid)
        code = popen.wait()
        said.close()
        logged.close()
    if code != 0:
        raise StackError(f"{process.name} failed (status {code}); its last words are above.")
    return b"\n".join(result).decode()
