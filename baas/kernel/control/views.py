"""The operators' door: `/v1/admin`, the project's settings, health and metrics."""

from datetime import UTC
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request as DrfRequest
from rest_framework.response import Response
from rest_framework.views import APIView

from baas.kernel import cursors, health, metrics, operators, projects
from baas.kernel.control import serializers
from baas.kernel.events.event import rfc3339
from baas.kernel.http import rate_limits
from baas.kernel.http.django import kernel_request, read_only
from baas.kernel.http.views import PrivilegedView
from baas.kernel.models import Operator, PersonalAccessToken
from baas.kernel.models import Project as ProjectRow
from baas.kernel.principals import Principal
from baas.kernel.problems import FieldError, Invalid, Unauthenticated

# Attempts of one address to log in.
LOGINS: Final = 20
LOGIN_WINDOW_S: Final = 300


class OperatorAuthentication(BaseAuthentication):
    """`Authorization: Bearer pat_…`"""

    def authenticate(self, request: DrfRequest) -> tuple[Principal, None] | None:
        header = request.headers.get("Authorization")
        if header is None:
            return None
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer" and token.startswith("pat_"):
            principal = operators.by_token(token)
            if principal is not None:
                return principal, None
        raise Unauthenticated("The token is not valid: log in again.")

    def authenticate_header(self, request: DrfRequest) -> str:
        return "Bearer"


class OperatorView(APIView):
    authentication_classes = [OperatorAuthentication]

    def initial(self, request: DrfRequest, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.user is None:
            raise Unauthenticated(
                "This needs an operator's token in Authorization.", code="authentication_required"
            )

    @property
    def operator_id(self) -> int:
        principal: Principal = self.request.user  # type: ignore[assignment]
        assert principal.operator_id is not None  # noqa: S101 - OperatorAuthentication sets it
        return principal.operator_id


def _project(row: ProjectRow) -> dict[str, Any]:
    return {
        "slug": row.slug,
        "name": row.name,
        "publishable_key": row.publishable_key,
        "created_at": rfc3339(row.created_at),
    }


class LoginView(APIView):
    authentication_classes: list[type[BaseAuthentication]] = []

    @extend_schema(request=serializers.Login, responses=serializers.Token)
    def post(self, request: DrfRequest) -> Response:
        body = serializers.Login(data=request.data)
        body.is_valid(raise_exception=True)
        # An Argon2 hash each: neither guessed nor flooded.
        rate_limits.take(f"login:{kernel_request(request).client_ip}", LOGINS, LOGIN_WINDOW_S)
        return Response({"token": operators.login(**body.validated_data)})


class TokensView(OperatorView):
    @extend_schema(
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor", str)],
        responses=serializers.AccessToken(many=True),
    )
    def get(self, request: DrfRequest) -> Response:
        limit = cursors.parse_limit(request.query_params.get("limit"))
        rows = PersonalAccessToken.objects.filter(operator_id=self.operator_id).order_by("id")
        cursor = request.query_params.get("cursor")
        if cursor is not None:
            after = cursors.decode(cursor)
            rows = rows.filter(id__gt=after if isinstance(after, int) else 0)
        found = list(rows[: limit + 1])
        more = cursors.encode(found[limit - 1].id) if len(found) > limit else None
        return Response(cursors.page([_token(row) for row in found[:limit]], more))

    @extend_schema(request=serializers.NewAccessToken, responses={201: serializers.AccessToken})
    def post(self, request: DrfRequest) -> Response:
        body = serializers.NewAccessToken(data=request.data)
        body.is_valid(raise_exception=True)
        operator = Operator.objects.get(id=self.operator_id)
        row, token = operators.create_token(operator, **body.validated_data)
        return Response({**_token(row), "token": token}, status=201)


def _token(row: PersonalAccessToken) -> dict[str, Any]:
    return {
        "id": row.public_id,
        "name": row.name,
        "created_at": rfc3339(row.created_at),
        "expires_at": rfc3339(row.expires_at.astimezone(UTC)) if row.expires_at else None,
    }


class TokenView(OperatorView):
    @extend_schema(responses={204: None})
    def delete(self, request: DrfRequest, token_id: str) -> Response:
        operators.revoke_token(self.operator_id, token_id)
        return Response(status=204)


class ProjectsView(OperatorView):
    @extend_schema(
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor", str)],
        responses=serializers.Project(many=True),
    )
    def get(self, request: DrfRequest) -> Response:
        limit = cursors.parse_limit(request.query_params.get("limit"))
        rows = ProjectRow.objects.order_by("id")
        cursor = request.query_params.get("cursor")
        if cursor is not None:
            after = cursors.decode(cursor)
            if not isinstance(after, int):
                after = 0
            rows = rows.filter(id__gt=after)
        found = list(rows[: limit + 1])
        more = cursors.encode(found[limit - 1].id) if len(found) > limit else None
        return Response(cursors.page([_project(row) for row in found[:limit]], more))

    @extend_schema(request=serializers.NewProject, responses={201: serializers.ProjectWithKey})
    def post(self, request: DrfRequest) -> Response:
        body = serializers.NewProject(data=request.data)
        body.is_valid(raise_exception=True)
        project, secret = projects.create(**body.validated_data)
        return Response({**_project(project), "secret_key": secret}, status=201)


class ProjectView(OperatorView):
    @extend_schema(responses=serializers.Project)
    def get(self, request: DrfRequest, project: str) -> Response:
        return Response(_project(projects.get(project)))

    @extend_schema(request=serializers.ProjectChange, responses=serializers.Project)
    def patch(self, request: DrfRequest, project: str) -> Response:
        body = serializers.ProjectChange(data=request.data)
        body.is_valid(raise_exception=True)
        row = projects.update(
            projects.get(project), name=body.validated_data.get("name"), settings=None
        )
        return Response(_project(row))

    @extend_schema(parameters=[OpenApiParameter("confirm", str)], responses={204: None})
    def delete(self, request: DrfRequest, project: str) -> Response:
        row = projects.get(project)
        if request.query_params.get("confirm") != row.slug:
            raise Invalid(
                f"This removes all data of the project: confirm with ?confirm={row.slug}.",
                code="confirmation_required",
                errors=[FieldError("confirm", "required", "the project's slug")],
            )
        projects.delete(row)
        return Response(status=204)


class ProjectKeysView(OperatorView):
    @extend_schema(request=None, responses=serializers.ProjectWithKey)
    def post(self, request: DrfRequest, project: str) -> Response:
        row = projects.get(project)
        secret = projects.rotate_keys(row)
        return Response({**_project(row), "secret_key": secret})


class SettingsView(PrivilegedView):
    @extend_schema(responses=serializers.ProjectSettings)
    def get(self, request: DrfRequest, project: str) -> Response:
        return Response(self.ours.project.settings)

    @extend_schema(request=serializers.ProjectSettings, responses=serializers.ProjectSettings)
    def patch(self, request: DrfRequest, project: str) -> Response:
        given: dict[str, Any] = dict(request.data)
        unknown = set(given) - set(serializers.ProjectSettings().fields)
        if unknown:
            raise Invalid(
                "There is no such setting.",
                errors=[FieldError(name, "unknown", "no such setting") for name in sorted(unknown)],
            )
        changes = {name: None for name, value in given.items() if value is None}
        body = serializers.ProjectSettings(data={k: v for k, v in given.items() if v is not None})
        body.is_valid(raise_exception=True)
        row = projects.update(
            projects.get(project), name=None, settings={**body.validated_data, **changes}
        )
        return Response(row.settings)


@read_only
def healthz(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


@read_only
def readyz(request: HttpRequest) -> HttpResponse:
    ready, report = health.readiness()
    failing = [name for name, part in report.items() if not part["ok"]]
    body = {"status": "ok" if ready else "unavailable", "failing": failing, "parts": report}
    reply = JsonResponse(body, status=200 if ready else 503)
    if not ready:
        reply["Retry-After"] = "1"
    return reply


@read_only
def prometheus(request: HttpRequest) -> HttpResponse:
    body, content_type = metrics.scrape()
    return HttpResponse(body, content_type=content_type)
