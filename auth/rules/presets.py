"""The rules that need no expression."""

from __future__ import annotations

from typing import Final

from auth.rules.errors import RuleError

PRESETS: Final = ("public", "authenticated", "owner", "closed")


def preset(name: str, roots: frozenset[str], action: str | None) -> str | None:
    """The CEL text of a preset, or None if `name` is none. Raises RuleError for "owner" where
    nothing is owned."""
    match name:
        case "public":
            return "true"
        case "closed":
            return "false"
        case "authenticated":
            return "auth != null"
        case "owner" if action == "create":
            return "auth != null"  # the server makes the caller the owner
        case "owner" if "doc" in roots:
            return "auth != null && doc._owner == auth.uid"
        case "owner" if "object" in roots:
            return "auth != null && object.owner == auth.uid"
        case "owner":
            raise RuleError('"owner" has no meaning here: there is nothing that has an owner')
    return None
