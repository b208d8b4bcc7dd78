"""Every address of the control plane: each room brings its own list (data plane: `routes`)."""

from importlib.util import find_spec

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, URLResolver, include, path

from baas import openapi
from baas.kernel.http.django import read_only

ROOMS = ("baas.kernel", "auth", "documents", "storage", "functions")


@read_only
def openapi_document(request: HttpRequest) -> HttpResponse:
    return JsonResponse(openapi.document())


urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/openapi.json", openapi_document),
    *(path("", include(f"{room}.urls")) for room in ROOMS if find_spec(f"{room}.urls")),
]

handler400 = "baas.kernel.http.django.bad_request"
handler403 = "baas.kernel.http.django.forbidden"
handler404 = "baas.kernel.http.django.not_found"
handler500 = "baas.kernel.http.django.server_error"
