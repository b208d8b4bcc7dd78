"""Threads for Django and the database, which block: the event loop never does."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from django.db import connection

from baas.kernel import db
from baas.kernel.http.door import as_problem

THREADS: Final = 4

P = ParamSpec("P")
T = TypeVar("T")


class Pool:
    """A few threads with a database connection each. Make and close it in the event loop."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="realtime-db")

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result. It only reads: after a lost connection it is run once more.

        Raises Problem, whatever went wrong.
        """
        call = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, _guarded, call)

    async def close(self) -> None:
        """Let running calls end, close the connections."""
        loop = asyncio.get_running_loop()
        self._executor.shutdown(wait=False, cancel_futures=True)
        await loop.run_in_executor(None, functools.partial(self._executor.shutdown, wait=True))


def _guarded(call: Callable[[], T]) -> T:
    try:
        return call()
    except Exception as error:
        problem = as_problem(error)  # also closes a connection that was lost
        if not db.is_disconnect(error):
            raise problem from error
    try:
        return call()
    except Exception as error:
        raise as_problem(error) from error


def release_connection() -> None:
    """Close this thread's connection."""
    connection.close()
