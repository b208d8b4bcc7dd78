"""The control plane's door: `P/collections`, `P/rules/test`."""

from typing import Any

import orjson
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request as DrfRequest
from rest_framework.response import Response

from baas.kernel import cursors
from baas.kernel.http.views import PrivilegedView
from baas.kernel.problems import FieldError, Invalid
from documents import collections, configuration, declarations, playground, serializers, tables
from documents.access import Caller
from documents.collections import Collection
from documents.indexes import running
from documents.indexes.spec import Index


def _shown(collection: Collection) -> dict[str, Any]:
    progress = {} if collection.is_settled else running.progress(collection)
    return {
        "name": collection.name,
        "rules": _shown_rules(collection),
        "schema": collection.schema,
        "indexes": [
            _shown_index(index, progress) for index in collection.indexes if not index.implied
        ],
        "ttl_field": collection.ttl_field,
        "ttl_seconds": collection.ttl_seconds,
        "max_docs": collection.max_docs,
    }


def _shown_rules(collection: Collection) -> dict[str, Any]:
    fields = {".".join(field.path): field.rule.source for field in collection.hidden}
    shown: dict[str, Any] = dict(collection.rule_sources.items())
    return shown | {"fields": fields} if fields else shown


def _shown_index(index: Index, progress: dict[str, dict[str, Any]]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": index.label,
        "fields": ["-" + name if direction < 0 else name for name, direction in index.fields],
        "unique": index.unique,
        "type": index.type,
        "state": index.state,
    }
    if index.sparse:
        shown["sparse"] = True
    if index.where is not None:
        shown["where"] = orjson.loads(index.where)
    for member in ("language", "dimensions", "metric", "error"):
        value = getattr(index, member)
        if value is not None:
            shown[member] = value
    if index.state == "building":
        shown["progress"] = progress.get(index.name, {"phase": "waiting", "done": 0, "total": 0})
    return shown


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
        found = collections.get(self.ours.project.id, collection)
        size = tables.size(found.table)
        return Response({**_shown(found), "documents": size.documents, "size_bytes": size.bytes})

    @extend_schema(request=serializers.Collection, responses=serializers.Collection)
    def put(self, request: DrfRequest, project: str, collection: str) -> Response:
        declared = declarations.parse(dict(request.data))
        found, made = configuration.put(self.ours.project.id, collection, declared)
        return Response(_shown(found), status=201 if made else 200)

    @extend_schema(responses={204: None})
    def delete(self, request: DrfRequest, project: str, collection: str) -> Response:
        configuration.delete(self.ours.project.id, collection)
        return Response(status=204)


class RenameView(PrivilegedView):
    @extend_schema(
        operation_id="rename_collection",
        summary="Give a collection another name",
        request=serializers.NewName,
        responses=serializers.Collection,
    )
    def post(self, request: DrfRequest, project: str, collection: str) -> Response:
        body = self.ours.json_object()
        to = body.get("to")
        if not isinstance(to, str) or body.keys() != {"to"}:
            raise Invalid(
                "The body is an object with the new name in `to`.",
                errors=[FieldError("to", "invalid", "it is a text")],
            )
        return Response(_shown(configuration.rename(self.ours.project.id, collection, to)))


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
