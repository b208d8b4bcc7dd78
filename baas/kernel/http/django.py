"""The control plane's door: Django's side of what `dataplane` does for the hot paths."""

import sys
import time
from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse

from baas.kernel import fairness, idempotency
from baas.kernel.http import door
from baas.kernel.http.request import JSON_LIMIT, Request, Response
from baas.kernel.problems import Forbidden, Malformed, NotFound, Problem

GetResponse = Callable[[HttpRequest], HttpResponse]
View = Callable[[HttpRequest], HttpResponse]


def kernel_request(request: HttpRequest) -> Request:
    """Our view of Django's request, as the middleware made it."""
    ours: Request = request.baas  # type: ignore[attr-defined]
    return ours


def to_django(response: Response) -> HttpResponse:
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    reply = HttpResponse(body, status=response.status)
    del reply.headers["Content-Type"]
    for name, value in response.headers:
        reply[name] = value
    return reply


class RequestMiddleware:
    """Request id, project, principal, CORS and metrics; renders every problem."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        ours = door.open_request(request.META)
        request.baas = ours  # type: ignore[attr-defined]
        try:
            door.refuse_nul(ours.path)
            _ = ours.query  # refuses what is malformed or has a NUL
            if ours.path.startswith(door.PROJECT_PREFIX):
                door.enter_project(ours, ours.path.split("/")[3])
            reply = self._get_response(request)
        except Exception as error:  # noqa: BLE001 - the door's one handler: every error is answered
            reply = to_django(door.problem_response(door.as_problem(error), ours.request_id))
        finally:
            fairness.leave()
        reply["X-Request-Id"] = ours.request_id
        if not reply.streaming and reply.status_code != 204:
            reply["Content-Length"] = str(len(reply.content))
        for name, value in (*ours.rate_limit_headers, *door.cors_headers(ours)):
            reply[name] = value
        match = request.resolver_match
        route = "/" + match.route if match else "unmatched"
        door.observe(ours.method, route, reply.status_code, time.perf_counter() - began)
        return reply


class IdempotencyMiddleware:
    """Serves a repeated Idempotency-Key on the control plane's writes."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.headers.get("Idempotency-Key")
        if key is None or request.method in ("GET", "HEAD", "OPTIONS"):
            return self._get_response(request)
        ours = kernel_request(request)
        # The view's exceptions are rendered inside, so what is stored is the final reply.
        return to_django(
            idempotency.run(
                key=key,
                identity=ours.principal.identity
                if ours.project.id
                else request.headers.get("Authorization", ""),
                project_id=ours.project.id,
                method=ours.method,
                path=request.get_full_path(),
                # Read before the view can refuse: only who may deploy code sends so much.
                body=ours.body(JSON_LIMIT * 70 if ours.principal.is_privileged else JSON_LIMIT),
                mode="after",
                handle=lambda: _from_django(self._get_response(request)),
                render=lambda problem: door.problem_response(problem, ours.request_id),
            )
        )


def _from_django(reply: HttpResponse) -> Response:
    return Response(reply.status_code, reply.content, reply.items(), content_type=None)


def problem_reply(request: HttpRequest, problem: Problem) -> HttpResponse:
    ours: Request | None = getattr(request, "baas", None)
    request_id = ours.request_id if ours else door.open_request(request.META).request_id
    return to_django(door.problem_response(problem, request_id))


def read_only(view: View) -> View:
    """For plain views: GET and HEAD, and nothing else."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            raise door.method_not_allowed(["GET", "HEAD"])
        return view(request)

    return guarded


# The handlers that ROOT_URLCONF names: Django's own errors as problems.


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_reply(
        request, NotFound("There is nothing at this address: see GET /v1/openapi.json.")
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_reply(request, Malformed(f"The request is malformed: {exception}"))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_reply(request, Forbidden("You may not do this."))


def server_error(request: HttpRequest) -> HttpResponse:
    error = sys.exc_info()[1]
    problem = door.as_problem(error if isinstance(error, Exception) else RuntimeError("unknown"))
    return problem_reply(request, problem)
