from typing import Any

from rest_framework import serializers


class Login(serializers.Serializer[Any]):
    email = serializers.CharField()
    password = serializers.CharField(trim_whitespace=False)


class Token(serializers.Serializer[Any]):
    token = serializers.CharField()


class NewAccessToken(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class AccessToken(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    name = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)


class NewProject(serializers.Serializer[Any]):
    slug = serializers.CharField(max_length=40)
    name = serializers.CharField(max_length=200, required=False, default="")


class ProjectChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200, required=False)


class Project(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    publishable_key = serializers.CharField()
    created_at = serializers.DateTimeField()


class ProjectWithKey(Project):
    secret_key = serializers.CharField(help_text="Shown once.")


class ProjectSettings(serializers.Serializer[Any]):
    cors_origins = serializers.ListField(
        child=serializers.CharField(max_length=300), required=False
    )
    redirect_urls = serializers.ListField(
        child=serializers.CharField(max_length=2000), required=False
    )
