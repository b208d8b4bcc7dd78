from typing import Any

from rest_framework import serializers


class Rules(serializers.Serializer[Any]):
    read = serializers.CharField(required=False)
    # As attributes they hide methods of the serializer that only ModelSerializers need.
    create = serializers.CharField(required=False)  # type: ignore[assignment]
    update = serializers.CharField(required=False)  # type: ignore[assignment]
    delete = serializers.CharField(required=False)


class Index(serializers.Serializer[Any]):
    fields = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]
    unique = serializers.BooleanField(required=False, default=False)
    type = serializers.ChoiceField(["btree", "text", "geo", "vector"], default="btree")


class Collection(serializers.Serializer[Any]):
    name = serializers.CharField(read_only=True)
    rules = Rules(required=False)
    schema = serializers.JSONField(required=False, help_text="JSON Schema 2020-12")
    indexes = Index(many=True, required=False)
    ttl_field = serializers.CharField(required=False, allow_null=True)
    max_docs = serializers.IntegerField(required=False, allow_null=True, min_value=1)


class RuleTest(serializers.Serializer[Any]):
    rule = serializers.CharField(help_text="CEL, or the name of a preset")
    auth = serializers.JSONField(required=False, allow_null=True, help_text="null: anonymous")
    doc = serializers.JSONField(required=False, allow_null=True)
    # As an attribute it hides one of the serializer.
    data = serializers.JSONField(required=False, allow_null=True)  # type: ignore[assignment]


class RuleVerdict(serializers.Serializer[Any]):
    allowed = serializers.BooleanField()
    why = serializers.CharField(help_text="The clauses that decided it, with values")
