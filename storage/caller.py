"""Who asks for an object, as this room needs to know it."""

from dataclasses import dataclass
from typing import Any

from baas.kernel.http.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    auth: dict[str, Any] | None = None  # the variable of rules
    ip: str = ""
    bypasses_rules: bool = False
    explain: bool = False  # say in a refusal what the rule was and why it denied

    @property
    def uid(self) -> str | None:
        return None if self.auth is None else self.auth["uid"]

    @property
    def request(self) -> dict[str, Any]:
        """The variable of rules."""
        return {"ip": self.ip}


SERVICE = Caller(bypasses_rules=True)  # other rooms, on the project's own behalf


def of(request: Request) -> Caller:
    principal = request.principal
    return Caller(
        auth=principal.auth,
        ip=request.client_ip,
        bypasses_rules=principal.bypasses_rules,
        # Only to whoever may do everything anyway and acts as a user to try the rules.
        explain=principal.is_acted and request.header("X-Explain-Rules") == "1",
    )
