"""The control plane's door: `P/collections`, `P/rules/test`."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request as DrfRequest
from rest_framework.response import Response

from baas.kernel import cursors
from baas.kernel.http.views import PrivilegedView
from documents import collections, declarations, playground, serializers
from documents.access import Caller
from documents.collections import Collection


def _shown(collection: Collection) -> dict[str, Any]:
    return {
        "name": collection.name,
        "rules": dict(collection.rule_sources),
        "schema": collection.schema,
        "indexes": [
            {
                "fields": [
                    "-" + name if direction < 0 else name for name, direction in index.fields
                ],
                "unique": index.unique,
                "type": "btree",
            }
            for index in collection.indexes
        ],
        "ttl_field": collection.ttl_field,
        "max_docs": collection.max_docs,
    }


class CollectionsView(PrivilegedView):
    @extend_schema(
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor", str)],
        responses=serializers.Collection(many=True),
    )
    def get(self, request: DrfRequest, project: str) -> Response:
        limit = cursors.parse_limit(request.query_params.get("limit"))
        cursor = request.query_params.get("cursor")
        after = str(cursors.decode(cursor)) if cursor is not None else ""
        found = [each for each in collections.find_all(self.ours.project.id) if each.name > after]
        more = cursors.encode(found[limit - 1].name) if len(found) > limit else None
        return Response(cursors.page([_shown(each) for each in found[:limit]], more))


class CollectionView(PrivilegedView):
    @extend_schema(responses=serializers.Collection)
    def get(self, request: DrfRequest, project: str, collection: str) -> Response:
        return Response(_shown(collections.get(self.ours.project.id, collection)))

    @extend_schema(request=serializers.Collection, responses=serializers.Collection)
    def put(self, request: DrfRequest, project: str, collection: str) -> Response:
        declared = declarations.parse(dict(request.data))
        found, made = collections.put(self.ours.project.id, collection, declared)
        return Response(_shown(found), status=201 if made else 200)

    @extend_schema(responses={204: None})
    def delete(self, request: DrfRequest, project: str, collection: str) -> Response:
        collections.delete(self.ours.project.id, collection)
        return Response(status=204)


class RuleTestView(PrivilegedView):
    @extend_schema(
        operation_id="test_rule",
        summary="What a rule would say, and why",
        request=serializers.RuleTest,
        responses=serializers.RuleVerdict,
    )
    def post(self, request: DrfRequest, project: str) -> Response:
        caller = Caller(self.ours.project, self.ours.principal, self.ours.client_ip)
        return Response(playground.try_rule(caller, self.ours.json_object()))
