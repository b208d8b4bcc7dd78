"""The bodies of the control plane. What is in them is checked by `validation`."""

from typing import Any

from rest_framework import serializers


class _WithData(serializers.Serializer[Any]):
    """Adds the field `data`, whose name a serializer uses itself."""

    def get_fields(self) -> dict[str, Any]:
        return {
            **super().get_fields(),
            "data": serializers.JSONField(
                required=False, help_text="The user's own profile; PATCH merges (RFC 7396)."
            ),
        }


class NewUser(_WithData):
    email = serializers.CharField()
    password = serializers.CharField(required=False, allow_null=True, trim_whitespace=False)
    role = serializers.CharField(required=False, allow_null=True)
    claims = serializers.JSONField(required=False)


class UserChange(_WithData):
    email = serializers.CharField(required=False)
    password = serializers.CharField(required=False, trim_whitespace=False)
    role = serializers.CharField(required=False, allow_null=True)
    claims = serializers.JSONField(required=False, help_text="Replaces the claims.")
    banned = serializers.BooleanField(required=False)


class Identity(serializers.Serializer[Any]):
    provider = serializers.CharField()


class User(_WithData):
    id = serializers.CharField()
    email = serializers.CharField(allow_null=True)
    phone = serializers.CharField(allow_null=True)
    anonymous = serializers.BooleanField()
    identities = Identity(many=True)
    role = serializers.CharField(allow_null=True)
    claims = serializers.JSONField()
    banned = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    last_sign_in_at = serializers.DateTimeField(allow_null=True)


class Users(serializers.Serializer[Any]):
    items = User(many=True)
    next_cursor = serializers.CharField(allow_null=True)
