"""The control plane's door of functions, secrets, triggers and deliveries."""

from datetime import UTC, datetime, timedelta
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request as DrfRequest
from rest_framework.response import Response

from baas.kernel import cursors
from baas.kernel.http.drf import JSONParser
from baas.kernel.http.views import PrivilegedView
from baas.kernel.problems import FieldError, Invalid, Malformed
from functions import deployments, logs, packages, serializers, triggers, vault
from functions.api import parse_time
from functions.deployments import Deployment
from functions.events import deliveries
from functions.forms import PackageForm
from functions.models import Function, Secret, Trigger

PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor", str)]


def _cursor(request: DrfRequest, kind: type) -> Any:
    """The position that `cursor` names, None without one. Raises Malformed for another list's."""
    cursor = request.query_params.get("cursor")
    if cursor is None:
        return None
    position: Any = cursors.decode(cursor)
    if type(position) is not kind or (kind is int and position not in range(2**63)):
        raise Malformed("The cursor is another list's.", code="invalid_cursor")
    return position


def _page(items: list[Any], more: Any) -> Response:
    return Response(cursors.page(items, cursors.encode(more) if more is not None else None))


def _limit(request: DrfRequest) -> int:
    return cursors.parse_limit(request.query_params.get("limit"))


class FunctionsView(PrivilegedView):
    @extend_schema(parameters=PAGE, responses=serializers.DeployedFunction(many=True))
    def get(self, request: DrfRequest, project: str) -> Response:
        limit = _limit(request)
        rows = Function.objects.filter(project_id=self.ours.project.id).order_by("name")
        if (after := _cursor(request, str)) is not None:
            rows = rows.filter(name__gt=after)
        found = list(rows.prefetch_related("aliases")[: limit + 1])
        more = found[limit - 1].name if len(found) > limit else None
        return _page([deployments.describe(row) for row in found[:limit]], more)


class FunctionView(PrivilegedView):
    parser_classes = [JSONParser, PackageForm]
    body_limit = 70 * 1024 * 1024

    @extend_schema(responses=serializers.DeployedFunction)
    def get(self, request: DrfRequest, project: str, name: str) -> Response:
        return Response(deployments.describe(deployments.get(self.ours.project.id, name)))

    @extend_schema(request=serializers.NewVersion, responses={201: serializers.DeployedVersion})
    def put(self, request: DrfRequest, project: str, name: str) -> Response:
        given = dict(request.data)
        package = given.pop("package", None)
        body = serializers.NewVersion(data=given)
        body.is_valid(raise_exception=True)
        made = deployments.deploy(
            self.ours.project.id,
            self.ours.project.slug,
            name,
            _deployment(body.validated_data, package),
        )
        return Response(made, status=201)

    @extend_schema(responses={204: None})
    def delete(self, request: DrfRequest, project: str, name: str) -> Response:
        deployments.delete(deployments.get(self.ours.project.id, name))
        return Response(status=204)


def _deployment(wanted: dict[str, Any], package: Any) -> Deployment:
    if wanted.get("requirements"):
        raise Invalid(
            "`requirements` are not installed yet: put the packages into the zip file.",
            code="requirements_not_available",
            errors=[FieldError("requirements", "not_available", "not yet")],
        )
    if (package is not None) == ("code" in wanted):
        raise Invalid(
            "Give the code once: as `code`, or as the form's file `package`.",
            errors=[FieldError("code", "required", "code or package")],
        )
    if not isinstance(package, bytes):
        if package is not None:
            raise Malformed("`package` must be a file of the form.")
        code = wanted["code"]
        if "inline" in code:
            package = packages.from_inline(code["inline"])
        else:
            package = packages.from_base64(code["zip_base64"])
    return Deployment(
        package=package,
        runtime=wanted["runtime"],
        handler=wanted.get("handler") or deployments.usual_handler(wanted["runtime"]),
        signature=wanted["signature"],
        timeout_s=wanted["timeout_s"],
        memory_mb=wanted["memory_mb"],
        max_concurrency=wanted["max_concurrency"],
        min_instances=wanted["min_instances"],
        isolation=wanted["isolation"],
        env=wanted["env"],
        secrets=wanted["secrets"],
        invoke_rule=wanted.get("rules", {}).get("invoke", "closed"),
        acts_as=wanted.get("as") or "",
        egress=wanted["egress"],
        publish=wanted["publish"],
    )


class VersionsView(PrivilegedView):
    @extend_schema(parameters=PAGE, responses=serializers.DeployedVersion(many=True))
    def get(self, request: DrfRequest, project: str, name: str) -> Response:
        function = deployments.get(self.ours.project.id, name)
        limit = _limit(request)
        rows = function.versions.order_by("-number")
        if (before := _cursor(request, int)) is not None:
            rows = rows.filter(number__lt=before)
        found = list(rows[: limit + 1])
        more = found[limit - 1].number if len(found) > limit else None
        return _page([deployments.describe_version(function, row) for row in found[:limit]], more)


class AliasView(PrivilegedView):
    @extend_schema(request=serializers.AliasWeights, responses=serializers.AliasWeights)
    def put(self, request: DrfRequest, project: str, name: str, alias: str) -> Response:
        body = serializers.AliasWeights(data=request.data)
        body.is_valid(raise_exception=True)
        function = deployments.get(self.ours.project.id, name)
        return Response(deployments.set_alias(function, alias, body.validated_data["weights"]))


class RollbackView(PrivilegedView):
    @extend_schema(request=serializers.Rollback, responses=serializers.AliasWeights)
    def post(self, request: DrfRequest, project: str, name: str) -> Response:
        body = serializers.Rollback(data=request.data)
        body.is_valid(raise_exception=True)
        function = deployments.get(self.ours.project.id, name)
        return Response(
            deployments.rollback(
                function, body.validated_data["alias"], body.validated_data.get("version")
            )
        )


class LogsView(PrivilegedView):
    @extend_schema(
        parameters=[
            OpenApiParameter("since", str),
            OpenApiParameter("invocation_id", str),
            OpenApiParameter("level", str),
            OpenApiParameter("q", str),
            *PAGE,
        ],
        responses={200: None},
    )
    def get(self, request: DrfRequest, project: str, name: str) -> Response:
        function = deployments.get(self.ours.project.id, name)
        query = request.query_params
        shown, more = logs.lines(
            function.id,
            since=parse_time(query.get("since")),
            invocation_id=query.get("invocation_id"),
            level=query.get("level"),
            text=query.get("q"),
            before=_cursor(request, int),
            limit=_limit(request),
        )
        return _page(shown, more)


class InvocationsView(PrivilegedView):
    @extend_schema(parameters=PAGE, responses={200: None})
    def get(self, request: DrfRequest, project: str, name: str) -> Response:
        function = deployments.get(self.ours.project.id, name)
        before = _cursor(request, list)
        if before is not None and [type(part) for part in before] != [str, int]:
            raise Malformed("The cursor is another list's.", code="invalid_cursor")
        shown, more = logs.runs(function.id, before=before, limit=_limit(request))
        return _page(shown, more)


class MetricsView(PrivilegedView):
    @extend_schema(
        parameters=[
            OpenApiParameter("from", str),
            OpenApiParameter("to", str),
            OpenApiParameter("step", int, description="Seconds."),
        ],
        responses={200: None},
    )
    def get(self, request: DrfRequest, project: str, name: str) -> Response:
        function = deployments.get(self.ours.project.id, name)
        query = request.query_params
        end = parse_time(query.get("to"), "to") or datetime.now(UTC)
        start = parse_time(query.get("from"), "from") or end - timedelta(hours=1)
        step = query.get("step", "60")
        shown = logs.metrics(
            function.id,
            start=start,
            end=end,
            step_s=int(step) if step.isascii() and step.isdecimal() and len(step) < 9 else 0,
        )
        return _page(shown, None)


class SecretsView(PrivilegedView):
    @extend_schema(parameters=PAGE, responses=serializers.Secret(many=True))
    def get(self, request: DrfRequest, project: str) -> Response:
        limit = _limit(request)
        rows = Secret.objects.filter(project_id=self.ours.project.id).order_by("name")
        if (after := _cursor(request, str)) is not None:
            rows = rows.filter(name__gt=after)
        found = list(rows[: limit + 1])
        more = found[limit - 1].name if len(found) > limit else None
        return _page([vault.describe(row) for row in found[:limit]], more)


class SecretView(PrivilegedView):
    @extend_schema(responses=serializers.Secret)
    def get(self, request: DrfRequest, project: str, name: str) -> Response:
        return Response(vault.describe(vault.get_secret(self.ours.project.id, name)))

    @extend_schema(request=serializers.NewSecret, responses=serializers.Secret)
    def put(self, request: DrfRequest, project: str, name: str) -> Response:
        body = serializers.NewSecret(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(vault.put_secret(self.ours.project.id, name, body.validated_data["value"]))

    @extend_schema(responses={204: None})
    def delete(self, request: DrfRequest, project: str, name: str) -> Response:
        vault.delete_secret(self.ours.project.id, name)
        return Response(status=204)


class TriggersView(PrivilegedView):
    @extend_schema(parameters=PAGE, responses=serializers.Trigger(many=True))
    def get(self, request: DrfRequest, project: str) -> Response:
        limit = _limit(request)
        rows = Trigger.objects.filter(project_id=self.ours.project.id).order_by("name")
        if (after := _cursor(request, str)) is not None:
            rows = rows.filter(name__gt=after)
        found = list(rows.select_related("function")[: limit + 1])
        more = found[limit - 1].name if len(found) > limit else None
        return _page([triggers.describe(row) for row in found[:limit]], more)


class TriggerView(PrivilegedView):
    @extend_schema(responses=serializers.Trigger)
    def get(self, request: DrfRequest, project: str, name: str) -> Response:
        return Response(triggers.describe(triggers.get(self.ours.project.id, name)))

    @extend_schema(request=serializers.NewTrigger, responses=serializers.Trigger)
    def put(self, request: DrfRequest, project: str, name: str) -> Response:
        body = serializers.NewTrigger(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        retry = wanted.get("retry") or {}
        trigger, created = triggers.put(
            self.ours.project.id,
            name,
            triggers.Wanted(
                function=wanted["function"],
                alias=wanted["alias"],
                source=wanted["source"],
                filter=wanted["filter"],
                **retry,
            ),
        )
        return Response(triggers.describe(trigger), status=201 if created else 200)

    @extend_schema(responses={204: None})
    def delete(self, request: DrfRequest, project: str, name: str) -> Response:
        triggers.delete(self.ours.project.id, name)
        return Response(status=204)


class DeliveriesView(PrivilegedView):
    @extend_schema(
        parameters=[OpenApiParameter("state", str), OpenApiParameter("function", str), *PAGE],
        responses={200: None},
    )
    def get(self, request: DrfRequest, project: str) -> Response:
        state = request.query_params.get("state")
        if state is not None and state not in deliveries.STATES:
            raise Invalid(
                "`state` must be one of " + ", ".join(deliveries.STATES) + ".",
                errors=[FieldError("state", "invalid", ", ".join(deliveries.STATES))],
            )
        limit = _limit(request)
        found = deliveries.find(
            self.ours.project.id,
            self.ours.project.slug,
            state=state,
            function=request.query_params.get("function"),
            before=_cursor(request, str),
            limit=limit + 1,
        )
        more = found[limit - 1]["id"] if len(found) > limit else None
        return _page(found[:limit], more)


class RedriveView(PrivilegedView):
    @extend_schema(request=serializers.Selection, responses=serializers.Count)
    def post(self, request: DrfRequest, project: str) -> Response:
        body = serializers.Selection(data=request.data)
        body.is_valid(raise_exception=True)
        count = deliveries.redrive(
            self.ours.project.id,
            ids=body.validated_data.get("ids"),
            function=body.validated_data.get("function"),
        )
        return Response({"count": count})


class PurgeView(PrivilegedView):
    @extend_schema(request=serializers.Selection, responses=serializers.Count)
    def post(self, request: DrfRequest, project: str) -> Response:
        body = serializers.Selection(data=request.data)
        body.is_valid(raise_exception=True)
        count = deliveries.purge(
            self.ours.project.id,
            ids=body.validated_data.get("ids"),
            function=body.validated_data.get("function"),
        )
        return Response({"count": count})
