"""Bodies of the control plane."""

from math import isfinite
from typing import Any

from rest_framework import serializers

SIGNATURES = ["event", "http"]


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses members that it does not know: a misspelt limit must not be ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError(
                    {str(name)[:70]: ["There is no such member."] for name in unknown},
                    code="unknown",
                )
        return super().to_internal_value(data)


class Number(serializers.FloatField):
    """A number: "nan" is none, though Python's float() takes it and no limit refuses it."""

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if not isfinite(value):
            self.fail("invalid")
        return value


class Code(StrictSerializer):
    zip_base64 = serializers.CharField(required=False, trim_whitespace=False)
    inline = serializers.DictField(
        child=serializers.CharField(trim_whitespace=False, allow_blank=True),
        required=False,
        help_text="File name → its text.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Give either zip_base64 or inline.")
        if "inline" in attrs and not attrs["inline"]:
            raise serializers.ValidationError({"inline": ["There must be at least one file."]})
        return attrs


class FunctionRules(StrictSerializer):
    invoke = serializers.CharField(default="closed", max_length=4096)


class NewVersion(StrictSerializer):
    runtime = serializers.CharField(default="python3")
    handler = serializers.CharField(
        required=False,
        max_length=200,
        help_text="main.handler, or index.main for Node, unless given.",
    )
    signature = serializers.ChoiceField(SIGNATURES, default="event")
    timeout_s = Number(default=10.0, min_value=0.1, max_value=900)
    memory_mb = serializers.IntegerField(default=128, min_value=32, max_value=4096)
    max_concurrency = serializers.IntegerField(default=10, min_value=1, max_value=1000)
    min_instances = serializers.IntegerField(default=0, min_value=0, max_value=100)
    isolation = serializers.ChoiceField(["persist", "per-call"], default="persist")
    env = serializers.DictField(
        child=serializers.CharField(trim_whitespace=False, allow_blank=True, max_length=65536),
        default=dict,
    )
    secrets = serializers.ListField(child=serializers.CharField(max_length=128), default=list)
    rules = FunctionRules(required=False)
    egress = serializers.ListField(child=serializers.CharField(max_length=300), default=list)
    code = Code(required=False)
    requirements = serializers.CharField(required=False, allow_blank=True)
    publish = serializers.BooleanField(default=True)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # `as` is a keyword of Python.
        return {
            **super().get_fields(),
            "as": serializers.ChoiceField(["caller", "service"], required=False, allow_null=True),
        }


class DeployedVersion(serializers.Serializer[Any]):
    name = serializers.CharField()
    version = serializers.IntegerField()
    digest = serializers.CharField()
    runtime = serializers.CharField()
    state = serializers.ChoiceField(["ready", "building", "failed"])
    build_log = serializers.CharField(required=False)


class DeployedFunction(DeployedVersion):
    aliases = serializers.DictField(child=serializers.DictField(child=serializers.IntegerField()))


class AliasWeights(StrictSerializer):
    weights = serializers.DictField(
        child=serializers.IntegerField(min_value=0, max_value=1_000_000)
    )


class Rollback(StrictSerializer):
    alias = serializers.CharField(default="live", max_length=70)
    version = serializers.IntegerField(required=False, min_value=1)


class NewSecret(StrictSerializer):
    value = serializers.CharField(trim_whitespace=False, allow_blank=True)


class Secret(serializers.Serializer[Any]):
    name = serializers.CharField()
    digest = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class Retry(StrictSerializer):
    max_attempts = serializers.IntegerField(default=5, min_value=1, max_value=100)
    max_age_s = serializers.IntegerField(default=86400, min_value=1, max_value=7 * 86400)
    backoff_s = Number(default=1.0, min_value=0, max_value=3600)


class NewTrigger(StrictSerializer):
    function = serializers.CharField(max_length=70)
    alias = serializers.CharField(default="live", max_length=70)
    filter = serializers.CharField(
        default="", allow_blank=True, max_length=4096, help_text="CEL over `event`."
    )
    retry = Retry(required=False)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # A serializer's own attribute has the name `source`.
        return {**super().get_fields(), "source": serializers.DictField()}


class Trigger(serializers.Serializer[Any]):
    name = serializers.CharField()
    function = serializers.CharField()
    alias = serializers.CharField()
    filter = serializers.CharField(required=False)
    retry = Retry()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {**super().get_fields(), "source": serializers.DictField()}


class Selection(StrictSerializer):
    """Which dead deliveries: some by id, or all of a function."""

    ids = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, max_length=1000
    )
    function = serializers.CharField(required=False, max_length=70)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Give either ids or function.")
        return attrs


class Count(serializers.Serializer[Any]):
    count = serializers.IntegerField()
