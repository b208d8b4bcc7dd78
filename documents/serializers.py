from typing import Any

from rest_framework import serializers


class Rules(serializers.Serializer[Any]):
    read = serializers.CharField(required=False)
    # As attributes they hide methods of the serializer that only ModelSerializers need.
    create = serializers.CharField(required=False)  # type: ignore[assignment]
    update = serializers.CharField(required=False)  # type: ignore[assignment]
    delete = serializers.CharField(required=False)
    # As an attribute it hides one of the serializer.
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.CharField(), required=False, help_text="Who sees a field: its rule"
    )


class Progress(serializers.Serializer[Any]):
    phase = serializers.CharField()
    done = serializers.IntegerField()
    total = serializers.IntegerField()


class Index(serializers.Serializer[Any]):
    name = serializers.CharField(required=False, help_text="Made of the fields unless given")
    fields = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]
    type = serializers.ChoiceField(["btree", "text", "geo", "vector"], default="btree")
    unique = serializers.BooleanField(required=False, default=False)
    sparse = serializers.BooleanField(required=False, default=False)
    where = serializers.JSONField(required=False, help_text="A filter: only these documents")
    language = serializers.CharField(required=False, help_text="Of a text index")
    dimensions = serializers.IntegerField(required=False, help_text="Of a vector index")
    metric = serializers.ChoiceField(["cosine", "l2", "ip"], required=False)
    state = serializers.ChoiceField(["building", "ready", "failed"], read_only=True)
    progress = Progress(read_only=True, required=False)
    error = serializers.CharField(read_only=True, required=False)


class Collection(serializers.Serializer[Any]):
    name = serializers.CharField(read_only=True)
    rules = Rules(required=False)
    schema = serializers.JSONField(required=False, help_text="JSON Schema 2020-12")
    indexes = Index(many=True, required=False)
    ttl_field = serializers.CharField(required=False, allow_null=True)
    ttl_seconds = serializers.IntegerField(required=False, min_value=0)
    max_docs = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    documents = serializers.IntegerField(
        read_only=True, required=False, help_text="About how many (of one collection only)"
    )
    size_bytes = serializers.IntegerField(read_only=True, required=False)


class NewName(serializers.Serializer[Any]):
    to = serializers.CharField()


class RuleTest(serializers.Serializer[Any]):
    rule = serializers.CharField(help_text="CEL, or the name of a preset")
    auth = serializers.JSONField(required=False, allow_null=True, help_text="null: anonymous")
    doc = serializers.JSONField(required=False, allow_null=True)
    # As an attribute it hides one of the serializer.
    data = serializers.JSONField(required=False, allow_null=True)  # type: ignore[assignment]


class RuleVerdict(serializers.Serializer[Any]):
    allowed = serializers.BooleanField()
    why = serializers.CharField(help_text="The clauses that decided it, with values")
