"""Keep the stack's programs running and stop them in order. One thread, one event loop."""

import asyncio
from collections.abc import Iterable

from baas.embedded.errors import StackError
from baas.embedded.keeper import Keeper
from baas.embedded.output import Output
from baas.embedded.process import Process
from baas.embedded.runfile import RunFile

_GIVE_UP_AFTER = 5  # crashes in a row of one program before the stack was ever ready


class Supervisor:
    """Runs the programs it is given until it is told to stop them. Use inside a running loop."""

    def __init__(self, run_file: RunFile, output: Output) -> None:
        self._run_file = run_file
        self._output = output
        self._keepers: dict[str, Keeper] = {}
        self._hurrying = False
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.was_ready = False  # from then on crashes are survived for ever

    def start(self, process: Process) -> None:
        """Start the program soon and keep it running."""
        self._keepers[process.name] = Keeper(
            process,
            self._run_file,
            self._output,
            on_crash=self._count_crash,
            on_failure=self._fail,
        )

    def pid(self, name: str) -> int | None:
        """The pid of a program; None while it is down."""
        keeper = self._keepers.get(name)
        return keeper.pid if keeper else None

    async def failed(self) -> None:
        """Raises StackError once a program keeps crashing before the stack was ever ready."""
        await asyncio.shield(self._failed)

    async def stop(self, names: Iterable[str]) -> None:
        """End these programs together; returns when they and all they started are gone."""
        keepers = [self._keepers[name] for name in names if name in self._keepers]
        for keeper in keepers if self._hurrying else ():
            keeper.hurry()
        await asyncio.gather(*(keeper.stop() for keeper in keepers))
        for keeper in keepers:
            del self._keepers[keeper.process.name]

    def hurry(self) -> None:
        """The operator has asked again: no more grace for anything."""
        self._hurrying = True
        for keeper in self._keepers.values():
            keeper.hurry()

    @property
    def names(self) -> list[str]:
        """All that it keeps running, in the order of their starts."""
        return list(self._keepers)

    def say(self, text: str) -> None:
        self._output.say("stack", text)

    def _count_crash(self, name: str, crashes: int) -> None:
        if crashes >= _GIVE_UP_AFTER and not self.was_ready:
            self._fail(
                StackError(f"{name} ended {crashes} times in a row; its last words are above.")
            )

    def _fail(self, error: BaseException) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)
