from typing import Any

from rest_framework import serializers

from storage.buckets import DEFAULT_MAX_SIZE

GLOB = r"^(\*|\*/\*|[A-Za-z0-9!#$&^_.+-]+/(\*|[A-Za-z0-9!#$&^_.+-]+))$"


class Boolean(serializers.BooleanField):
    """true or false and nothing that looks like it: "no" must not make a bucket public."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class BucketChange(serializers.Serializer[Any]):
    public = Boolean(default=False, help_text="Whether anyone may read objects by their path.")
    rules = serializers.DictField(
        child=serializers.CharField(max_length=4096, allow_blank=True, allow_null=True),
        default=dict,
        help_text='Rules for read, write and delete; "closed" where none is given.',
    )
    max_size = serializers.IntegerField(
        min_value=0,
        max_value=2**53,
        allow_null=True,
        default=None,
        help_text=f"Bytes of one object; {DEFAULT_MAX_SIZE} when null.",
    )
    allowed_types = serializers.ListField(
        child=serializers.RegexField(GLOB, max_length=200),
        max_length=100,
        allow_null=True,
        default=list,
        help_text="Media types such as image/*; empty: every type.",
    )
    versioning = Boolean(default=False, help_text="Must be false for now.")
    cache_control = serializers.RegexField(
        r"^[\x20-\x7e]+$", max_length=300, allow_null=True, default=None
    )


class Bucket(BucketChange):
    name = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
