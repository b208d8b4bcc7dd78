"""A stand-in for the product's API on a Unix socket: keeps what it was asked, answers by rule."""

import json
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, bytes]


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class ApiServer:
    """Serves until stopped; `respond` may be replaced by a test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[Request] = []
        self.respond: Callable[[Request], Answer] = self.echo
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, body)
                outer.requests.append(request)
                status, answer = outer.respond(request)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                if status != 204:
                    self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def address_string(self) -> str:
                return "unix"

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = _UnixServer(str(path), Handler)
        path.chmod(0o666)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def reset(self) -> None:
        self.requests.clear()
        self.respond = self.echo

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @staticmethod
    def echo(request: Request) -> Answer:
        text = request.body.decode() if request.body else None
        return 200, json.dumps(
            {"method": request.method, "path": request.path, "body": text}
        ).encode()
