"""The bodies of the control plane. What is in them is checked by `validation`."""

from typing import Any

from rest_framework import serializers


class NewUser(serializers.Serializer[Any]):
    email = serializers.CharField()
    password = serializers.CharField(required=False, allow_null=True, trim_whitespace=False)
    role = serializers.CharField(required=False, allow_null=True)
    claims = serializers.JSONField(required=False)
    data = serializers.JSONField(required=False)


class UserChange(serializers.Serializer[Any]):
    email = serializers.CharField(required=False)
    password = serializers.CharField(required=False, trim_whitespace=False)
    role = serializers.CharField(required=False, allow_null=True)
    claims = serializers.JSONField(required=False, help_text="Replaces the claims.")
    data = serializers.JSONField(required=False, help_text="A merge patch (RFC 7396).")
    banned = serializers.BooleanField(required=False)


class Identity(serializers.Serializer[Any]):
    provider = serializers.CharField()


class User(serializers.Serializer[Any]):
    id = serializers.CharField()
    email = serializers.CharField(allow_null=True)
    phone = serializers.CharField(allow_null=True)
    anonymous = serializers.BooleanField()
    identities = Identity(many=True)
    role = serializers.CharField(allow_null=True)
    claims = serializers.JSONField()
    # `data` is also the name of a serializer's property, so the field is declared by name below.
    banned = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    last_sign_in_at = serializers.DateTimeField(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "data": serializers.JSONField()}


class Users(serializers.Serializer[Any]):
    items = User(many=True)
    next_cursor = serializers.CharField(allow_null=True)
