"""Base classes of the control plane's views."""

from typing import Any

from rest_framework.request import Request as DrfRequest
from rest_framework.views import APIView

from baas.kernel.http.django import kernel_request
from baas.kernel.http.request import JSON_LIMIT, Request
from baas.kernel.problems import Forbidden, Unauthenticated


class View(APIView):
    """A control-plane view: `self.ours` is our request with project and principal."""

    body_limit = JSON_LIMIT

    @property
    def ours(self) -> Request:
        return kernel_request(self.request._request)


class PrivilegedView(View):
    # For secret keys and operators only: 401 without an identity, 403 for everyone else.
    # (A docstring would become the description of every operation below it.)

    def initial(self, request: DrfRequest, *args: Any, **kwargs: Any) -> None:
        require_privileged(kernel_request(request._request))
        super().initial(request, *args, **kwargs)


def require_privileged(request: Request) -> None:
    """Raises Unauthenticated `authentication_required` or Forbidden `rule_denied`."""
    if request.principal.is_privileged:
        return
    if request.principal.kind == "anonymous":
        raise Unauthenticated(
            "This needs the project's secret key or an operator's token in Authorization.",
            code="authentication_required",
        )
    raise Forbidden("This needs the project's secret key or an operator's token.")
