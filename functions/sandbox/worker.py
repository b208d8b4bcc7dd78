"""The loop inside a sandbox: load the handler once, then one call at a time.

Everything here may be replaced by the user's code, which shares the process. The host therefore
trusts nothing of what it sends; this is only the honest side of the protocol.
"""

import asyncio
import importlib
import inspect
import json
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any

from functions.sandbox import client, mounts
from functions.sandbox.client import Baas, Transport
from functions.sandbox.context import Context, deadline_text
from functions.sandbox.frames import BlockingChannel, Frame
from functions.sandbox.logs import Output

RESULT_CAP = 6 << 20
API_BODY_CAP = 64 << 20
_HEADER_CAP = 1 << 20
_EVENT_CAP = 8 << 20
_MESSAGE_CAP = 4096  # characters of an exception's text that go into the answer
_THREAD_STACK = 1 << 20  # the default of 8 MiB each would eat RLIMIT_DATA

Handler = Callable[[Any, Context], Any]


class HandlerNotFoundError(Exception):
    """The package was loaded but has no such handler."""


def find_handler(name: str) -> Handler:
    """Import `module.function` from the package; whatever the import raises goes through."""
    module_name, _, attribute = name.rpartition(".")
    if not module_name or not attribute:
        raise HandlerNotFoundError(f"{name!r} is not of the form module.function")
    path = os.path.join(mounts.CODE, *module_name.split("."))
    if not (os.path.isfile(path + ".py") or os.path.isdir(path)):
        raise HandlerNotFoundError(f"the package has no module {module_name!r}")
    module = importlib.import_module(module_name)
    handler = getattr(module, attribute, None)
    if not callable(handler):
        raise HandlerNotFoundError(f"module {module_name!r} has no function {attribute!r}")
    return handler  # type: ignore[no-any-return]


def _error(error: BaseException) -> dict[str, str]:
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - a hostile __str__ is still only an error of the function
        message = "(the exception cannot be shown)"
    return {"type": type(error).__name__, "message": message[:_MESSAGE_CAP]}


def _guest_part(trace: TracebackType | None) -> TracebackType | None:
    """Skip this program's own frames, which come before the first of the package."""
    walk = trace
    while walk is not None:
        if walk.tb_frame.f_code.co_filename.startswith(mounts.CODE + "/"):
            return walk
        walk = walk.tb_next
    return None


def stack_text(error: BaseException) -> str:
    """The traceback as a developer wants it, without paths of the host."""
    if isinstance(error, SyntaxError):
        error.with_traceback(None)
    shown = error.with_traceback(_guest_part(error.__traceback__))
    text = "".join(traceback.format_exception(shown, limit=-30))
    return text.replace(sys.base_prefix + "/", "<python>/").rstrip()


class Worker:
    """One loaded function."""

    def __init__(self, control: BlockingChannel, transport: Transport, output: Output) -> None:
        self._control = control
        self._transport = transport
        self._output = output
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handler: Handler
        self._function = ""
        self._version = 0
        self._baas: Baas

    def load(self, init: dict[str, Any]) -> bool:
        """Import the handler and tell the host how it went."""
        os.environ.update(init["env"])
        self._function, self._version = init["function"], init["version"]
        self._baas = Baas(self._transport, self._function)
        try:
            self._handler = find_handler(init["handler"])
        except HandlerNotFoundError as error:
            self._refuse_load("handler_not_found", error)
            return False
        except MemoryError as error:
            self._refuse_load("out_of_memory", error)
            return False
        except BaseException as error:  # noqa: BLE001 - whatever user code raises at import
            self._output.pipe.write("error", stack_text(error))
            self._refuse_load("load_error", error)
            return False
        self._output.end_call()
        self._control.send({"type": "ready"})
        return True

    def _refuse_load(self, kind: str, error: BaseException) -> None:
        self._output.end_call()
        self._control.send({"type": "load_failed", "kind": kind, "error": _error(error)})

    def _context(self, call: dict[str, Any]) -> Context:
        return Context(
            invocation_id=call["invocation_id"],
            function=self._function,
            version=self._version,
            attempt=call["attempt"],
            deadline=deadline_text(call["deadline"]),
            auth=call["auth"],
            trace_id=call["trace_id"],
            logger=self._output.logger,
            baas=self._baas,
            _ends=time.monotonic() + call["timeout_s"],
        )

    def _run(self, event: Any, context: Context) -> Any:
        result = self._handler(event, context)
        if not inspect.isawaitable(result):
            return result
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)

        async def finish() -> Any:
            return await result

        return self._loop.run_until_complete(finish())

    def _call(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """Run the handler; return the answer's header and body."""
        try:
            event = json.loads(frame.body)
            result = self._run(event, self._context(frame.header))
        except MemoryError as error:
            return {"outcome": "out_of_memory", "error": _error(error)}, b""
        except SystemExit as error:
            self._output.end_call()
            os._exit(error.code if isinstance(error.code, int) else 1)
        except BaseException as error:  # noqa: BLE001 - a failing user function is a result
            self._output.pipe.write("error", stack_text(error))
            return {"outcome": "error", "error": _error(error)}, b""
        return _encode_result(result)

    def serve(self) -> None:
        """Answer calls until the host closes the channel."""
        while (frame := self._control.receive()) is not None:
            self._transport.invocation_id = frame.header["invocation_id"]
            header, body = self._call(frame)
            self._output.end_call()
            self._control.send({"type": "reply", "id": frame.header["id"], **header}, body)


def _encode_result(result: Any) -> tuple[dict[str, Any], bytes]:
    try:
        body = json.dumps(
            result, allow_nan=False, ensure_ascii=False, separators=(",", ":")
        ).encode()
    except MemoryError as error:
        return {"outcome": "out_of_memory", "error": _error(error)}, b""
    except Exception as error:  # noqa: BLE001 - TypeError, ValueError, RecursionError, hostile code
        return {"outcome": "invalid_response", "error": _error(error)}, b""
    if len(body) > RESULT_CAP:
        message = f"The result has {len(body)} bytes; {RESULT_CAP} are allowed."
        problem = {"type": "ResultTooLarge", "message": message}
        return {"outcome": "result_too_large", "error": problem}, b""
    return {"outcome": "ok"}, body


def _publish_client() -> None:
    """Make `from baas import BaasError` work in user code."""
    module = ModuleType("baas", client.__doc__)
    module.__dict__.update({name: getattr(client, name) for name in client.__all__})
    sys.modules["baas"] = module


def control_channel(sock: socket.socket) -> BlockingChannel:
    """The channel on which the host speaks to this process."""
    return BlockingChannel(sock, header_cap=_HEADER_CAP, body_cap=_EVENT_CAP)


def serve(control: BlockingChannel, api: socket.socket, log: int) -> None:
    """Be a function until the host closes `control`."""
    os.environ.clear()
    os.environ.update({"HOME": mounts.TMP, "TMPDIR": mounts.TMP, "LANG": "C.UTF-8", "TZ": "UTC"})
    threading.stack_size(_THREAD_STACK)
    sys.path.insert(0, mounts.CODE)
    _publish_client()
    output = Output(log)
    bridge = BlockingChannel(api, header_cap=_HEADER_CAP, body_cap=API_BODY_CAP)
    worker = Worker(control, Transport(bridge), output)
    init = control.receive()
    if init is not None and worker.load(init.header):
        worker.serve()
