"""Who calls. Made by `auth.principals.authenticate` (and the operator's door), read by everyone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["anonymous", "user", "key", "operator", "function"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The caller of one request, within one project (or, for operators, outside any)."""

    kind: Kind = "anonymous"
    project_id: int | None = None
    uid: str | None = None  # end users, and functions that act for one
    session_id: str | None = None
    role: str | None = None
    email: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    provider: str | None = None  # password, anonymous, wechat …
    is_anonymous_user: bool = False  # signed in by POST /anonymous
    operator_id: int | None = None
    key_id: str | None = None  # which secret key or token, for audit and idempotency
    invocation_id: str | None = None  # set when a function calls back
    depth: int = 0  # how many events led here

    @property
    def bypasses_rules(self) -> bool:
        """Secret keys, operators and functions deployed as a service are above the rules."""
        return self.kind in ("key", "operator") or (self.kind == "function" and self.uid is None)

    @property
    def is_privileged(self) -> bool:
        """May configure the project: secret keys and operators, never functions."""
        return self.kind in ("key", "operator")

    @property
    def is_acted(self) -> bool:
        """A secret key or an operator acts as this caller (`X-Act-As`), under the rules."""
        return not self.is_privileged and (self.key_id or self.operator_id) is not None

    @property
    def auth(self) -> dict[str, Any] | None:
        """The `auth` variable of rules and of a function's context; None for anonymous callers."""
        if self.uid is None:
            return None
        return {
            "uid": self.uid,
            "role": self.role,
            "email": self.email,
            "claims": dict(self.claims),
            "provider": self.provider,
            "anonymous": self.is_anonymous_user,
        }

    @property
    def identity(self) -> str:
        """A stable name of the caller, for idempotency keys, logs and rate limits.

        Whoever acts as another is told more than that one would be: it is a caller of its own.
        """
        if self.is_acted:
            return f"{self.uid or self.kind} by {self.key_id or self.operator_id}"
        if self.uid is not None:
            return f"user:{self.uid}"
        if self.kind == "operator":
            return f"operator:{self.operator_id}"
        if self.kind == "key":
            return f"key:{self.key_id}"
        return self.kind


ANONYMOUS = Principal()
