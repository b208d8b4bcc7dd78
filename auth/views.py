"""The control plane's door to a project's users, for secret keys and operators."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request as DrfRequest
from rest_framework.response import Response

from auth import administration, principals, serializers, users
from baas.kernel import cursors
from baas.kernel.http.views import PrivilegedView
from baas.kernel.problems import Malformed


class UsersView(PrivilegedView):
    """`P/users`"""

    @extend_schema(
        operation_id="list_users",
        summary="List the project's users, oldest first",
        parameters=[
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor", str),
            OpenApiParameter("email", str, description="Only the user with this address."),
        ],
        responses=serializers.Users,
    )
    def get(self, request: DrfRequest, project: str) -> Response:
        query = self.ours.query
        limit = cursors.parse_limit(query.get("limit"))
        email = query.get("email")
        found = users.page(
            self.ours.project.id,
            after=_after(query.get("cursor")),
            limit=limit + 1,
            email=email.strip().lower() if email is not None else None,
        )
        more = cursors.encode(found[limit - 1].uid) if len(found) > limit else None
        return Response(cursors.page([user.as_object() for user in found[:limit]], more))

    @extend_schema(
        operation_id="create_user",
        summary="Make a user",
        request=serializers.NewUser,
        responses={201: serializers.User},
    )
    def post(self, request: DrfRequest, project: str) -> Response:
        user = administration.create(self.ours.project, self.ours.json_object())
        return Response(user.as_object(), status=201)


def _after(cursor: str | None) -> str:
    if cursor is None:
        return ""
    position: Any = cursors.decode(cursor)
    if not isinstance(position, str) or not position.isalnum():
        raise Malformed(
            "The cursor is not valid: pass `next_cursor` of the previous page unchanged.",
            code="invalid_cursor",
        )
    return position


class UserView(PrivilegedView):
    """`P/users/{id}`"""

    @extend_schema(operation_id="get_user", summary="A user", responses=serializers.User)
    def get(self, request: DrfRequest, project: str, uid: str) -> Response:
        return Response(users.get(self.ours.project.id, uid).as_object())

    @extend_schema(
        operation_id="update_user",
        summary="Change a user: address, password, role, claims, data, ban",
        request=serializers.UserChange,
        responses=serializers.User,
    )
    def patch(self, request: DrfRequest, project: str, uid: str) -> Response:
        user = administration.update(self.ours.project, uid, self.ours.json_object())
        principals.forget()
        return Response(user.as_object())

    @extend_schema(
        operation_id="delete_user",
        summary="Delete a user with all sessions; what the user owns stays",
        responses={204: None},
    )
    def delete(self, request: DrfRequest, project: str, uid: str) -> Response:
        users.delete(self.ours.project, uid)
        principals.forget()
        return Response(status=204)
