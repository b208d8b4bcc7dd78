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


class RateLimits(serializers.Serializer[Any]):
    window_s = serializers.IntegerField(
        required=False, min_value=1, max_value=3600, help_text="seconds; 60 unless given"
    )
    per_ip = serializers.IntegerField(
        required=False, min_value=0, help_text="requests in a window from one address; 0: no limit"
    )
    per_project = serializers.IntegerField(
        required=False, min_value=0, help_text="requests in a window by all callers; 0: no limit"
    )
    limit_privileged = serializers.BooleanField(
        required=False, help_text="whether secret keys and operators are limited, too"
    )

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, dict) else []
        if unknown:
            raise serializers.ValidationError(dict.fromkeys(unknown, "no such setting"))
        return super().to_internal_value(data)


class QueryLimits(serializers.Serializer[Any]):
    timeout_ms = serializers.IntegerField(
        required=False, min_value=1, max_value=600_000, help_text="of one query in the database"
    )
    listed_rows = serializers.IntegerField(
        required=False, min_value=1, help_text="documents that an end user's list may read"
    )
    aggregated_rows = serializers.IntegerField(
        required=False, min_value=1, help_text="documents that an end user's pipeline may read"
    )


class ProjectSettings(serializers.Serializer[Any]):
    cors_origins = serializers.ListField(
        child=serializers.CharField(max_length=300), required=False
    )
    redirect_urls = serializers.ListField(
        child=serializers.CharField(max_length=2000), required=False
    )
    rate_limits = RateLimits(required=False)
    query_limits = QueryLimits(required=False)
