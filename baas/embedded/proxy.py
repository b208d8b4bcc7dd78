"""The proxy's configuration: the template `nginx.conf`, filled in."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TEMPLATE = Path(__file__).with_name("nginx.conf")
_CONNECTIONS = 16384


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A problem that the proxy itself answers with."""

    on: Sequence[int]  # what nginx calls it
    status: int
    code: str
    title: str
    detail: str


REFUSALS = (
    Refusal(
        on=(400,),
        status=400,
        code="malformed_request",
        title="Malformed request",
        detail="This is not a well-formed HTTP request.",
    ),
    # Only for who asks for one of the proxy's internal locations by name.
    Refusal(
        on=(404,),
        status=404,
        code="not_found",
        title="Not found",
        detail="There is nothing here.",
    ),
    Refusal(
        on=(405,),
        status=405,
        code="method_not_allowed",
        title="Method not allowed",
        detail="This method is not served here.",
    ),
    Refusal(
        on=(408,),
        status=408,
        code="request_timeout",
        title="Request timeout",
        detail="The request did not arrive in time: send it again.",
    ),
    Refusal(
        on=(413,),
        status=413,
        code="body_too_large",
        title="Content too large",
        detail="The body is larger than this server takes.",
    ),
    Refusal(
        on=(414,),
        status=414,
        code="uri_too_long",
        title="URI too long",
        detail="Send long queries in a body: POST …/query.",
    ),
    Refusal(
        on=(429,),
        status=429,
        code="too_many_transfers",
        title="Too many requests",
        detail="Too many large uploads are under way: try again when one of them is done.",
    ),
    # 494 is nginx's own number for a header that is too large.
    Refusal(
        on=(431, 494),
        status=431,
        code="headers_too_large",
        title="Request header fields too large",
        detail="The headers are larger than 64 KiB, or one is larger than 16 KiB.",
    ),
    Refusal(
        on=(500,),
        status=500,
        code="internal_error",
        title="Internal server error",
        detail="The proxy could not handle the request; its log says why.",
    ),
    Refusal(
        on=(501, 505),
        status=501,
        code="not_implemented",
        title="Not implemented",
        detail="This kind of request is not served: speak HTTP/1.1.",
    ),
    # Whether the web process saw the request is not known: with an Idempotency-Key every repeat
    # is safe.
    Refusal(
        on=(502, 503),
        status=503,
        code="service_unavailable",
        title="Service unavailable",
        detail="The server is starting or restarting: try again in a moment.",
    ),
    Refusal(
        on=(504,),
        status=504,
        code="gateway_timeout",
        title="Gateway timeout",
        detail="The server did not answer in time.",
    ),
)


def render(
    *,
    run_dir: Path,
    listen: Sequence[str],
    web: Sequence[str],
    realtime: Sequence[str],
    access_log: str = "off",
    web_threads: int = 32,
    worker_processes: int = 2,
    open_files: int = 65536,
) -> str:
    """The whole configuration. `web` and `realtime` are upstream addresses (`unix:/path`,
    `host:port`), `listen` the arguments of nginx's listen directive, `web_threads` those of all web
    processes together."""
    values = {
        "RUN_DIR": str(run_dir),
        "LISTEN": _lines([f"listen {address};" for address in listen], 8),
        # A process that restarts is tried again after a second, not nginx's ten.
        "WEB_SERVERS": _lines([f"server {address} fail_timeout=1s;" for address in web], 8),
        "REALTIME_SERVERS": _lines(
            [f"server {address} fail_timeout=1s;" for address in realtime], 8
        ),
        "ACCESS_LOG": access_log if access_log == "off" else f"{access_log} requests",
        "WORKER_PROCESSES": str(worker_processes),
        "OPEN_FILES": str(open_files),
        "STREAMED": str(max(2, web_threads // 2)),
        "STREAMED_BY_ADDRESS": str(max(1, web_threads // 8)),
        # Each proxied connection is two.
        "CONNECTIONS": str(min(_CONNECTIONS, open_files)),
        "PROBLEMS": _lines([line for refusal in REFUSALS for line in _answer(refusal)], 8),
    }
    return fill(TEMPLATE.read_text(), values)


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replace each @NAME@; raises KeyError for a name without a value."""
    return re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], template)


def _lines(lines: Sequence[str], indent: int) -> str:
    return ("\n" + " " * indent).join(lines)


def _answer(refusal: Refusal) -> list[str]:
    body = (
        f'{{"type":"urn:baas:problem:{refusal.code}","title":"{refusal.title}",'
        f'"status":{refusal.status},"detail":"{refusal.detail}","code":"{refusal.code}",'
        '"request_id":"$trusted_request_id"}'
    )
    retry = (
        ["    add_header Retry-After 1 always;"] if refusal.status in (429, 502, 503, 504) else []
    )
    # No named location: nginx cannot go to one when it could not even read the request line.
    path = f"/-problem-/{refusal.code}"
    return [
        f"error_page {' '.join(map(str, refusal.on))} ={refusal.status} {path};",
        f"location = {path} {{",
        "    internal;",
        "    default_type application/problem+json;",
        "    add_header X-Request-Id $trusted_request_id always;",
        "    add_header Cache-Control no-store always;",
        *retry,
        f"    return {refusal.status} '{body}';",
        "}",
    ]
