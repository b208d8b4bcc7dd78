"""The control plane's door to buckets."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request as DrfRequest
from rest_framework.response import Response

from baas.kernel import cursors
from baas.kernel.http.views import PrivilegedView
from baas.kernel.problems import FieldError, Invalid
from storage import buckets, folders, serializers


class BucketsView(PrivilegedView):
    """`P/buckets`"""

    @extend_schema(
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor", str)],
        responses=serializers.Bucket(many=True),
    )
    def get(self, request: DrfRequest, project: str) -> Response:
        limit = cursors.parse_limit(request.query_params.get("limit"))
        cursor = request.query_params.get("cursor")
        after = cursors.decode(cursor) if cursor is not None else ""
        found = buckets.list_page(self.ours.project.id, str(after), limit + 1)
        more = cursors.encode(found[limit - 1].name) if len(found) > limit else None
        return Response(cursors.page([bucket.as_dict() for bucket in found[:limit]], more))


class BucketView(PrivilegedView):
    """`P/buckets/{bucket}`"""

    @extend_schema(responses=serializers.Bucket)
    def get(self, request: DrfRequest, project: str, bucket: str) -> Response:
        return Response(buckets.get(self.ours.project.id, bucket).as_dict())

    @extend_schema(
        request=serializers.BucketChange,
        responses={200: serializers.Bucket, 201: serializers.Bucket},
    )
    def put(self, request: DrfRequest, project: str, bucket: str) -> Response:
        fields = serializers.BucketChange().fields
        unknown = sorted(set(request.data) - set(fields))
        if unknown:
            raise Invalid(
                f"A bucket has no {unknown[0]!r}: it has {', '.join(fields)}.",
                errors=[FieldError(name, "unknown", "no such setting") for name in unknown],
            )
        body = serializers.BucketChange(data=request.data)
        body.is_valid(raise_exception=True)
        values: dict[str, Any] = body.validated_data
        if values.pop("versioning"):
            raise Invalid(
                "Versioning is not available yet: leave it out or send false.",
                code="versioning_not_available",
                errors=[FieldError("versioning", "not_available", "must be false")],
            )
        if values["max_size"] is None:
            values["max_size"] = buckets.DEFAULT_MAX_SIZE
        values["allowed_types"] = values["allowed_types"] or []
        made, is_new = buckets.put(self.ours.project.id, bucket, **values)
        return Response(made.as_dict(), status=201 if is_new else 200)

    @extend_schema(
        parameters=[OpenApiParameter("force", bool, description="Delete its objects too.")],
        responses={204: None},
    )
    def delete(self, request: DrfRequest, project: str, bucket: str) -> Response:
        if request.query_params.get("force") in ("1", "true"):
            folders.empty(self.ours.project, bucket)
        buckets.delete(self.ours.project.id, bucket)
        return Response(status=204)
