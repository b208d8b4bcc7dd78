"""Deployments as multipart/form-data: a `package` file beside the members of the JSON body."""

import io
from typing import Any

import orjson
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from rest_framework.parsers import BaseParser

from baas.kernel.http.django import kernel_request
from baas.kernel.problems import Malformed


class PackageForm(BaseParser):
    """Every field is JSON when it reads as JSON, else text; `config` may hold several at once."""

    media_type = "multipart/form-data"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        request: HttpRequest = parser_context["request"]._request
        # Read by our request and kept in memory: the limit of this route bounds it.
        body = kernel_request(request).body(parser_context["view"].body_limit)
        handler = MemoryFileUploadHandler()
        try:
            fields, files = MultiPartParser(
                {**request.META, "CONTENT_LENGTH": str(len(body))}, io.BytesIO(body), [handler]
            ).parse()
        except MultiPartParserError as error:
            raise Malformed(f"The form is malformed: {error}") from error
        found: dict[str, Any] = {}
        for name, value in fields.items():
            member = _value(str(value))
            if name == "config" and isinstance(member, dict):
                found |= member
            else:
                found[name] = member
        package = files.get("package")
        if isinstance(package, UploadedFile):
            found["package"] = package.read()
        return found


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
