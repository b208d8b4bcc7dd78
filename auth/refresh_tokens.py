"""Refresh tokens: `rt_` and the session, the token's place in its family, and a proof.

The proof is an HMAC under a key that only the server has and a secret that only the session's row
has, so no token is stored, none can be made from a copy of the database, and the child of a token
can be named again: that is how parallel tabs get the same child.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final

from baas.kernel.encryption import derived_key

PREFIX: Final = "rt_"
_ID: Final = 26  # characters of a session's id (kernel.ids)
_GENERATION: Final = 4  # bytes
_PROOF: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """A token's content, not yet proven to be ours."""

    session_id: str
    generation: int
    proof: bytes

    def is_genuine(self, secret: bytes) -> bool:
        """Whether we issued it for the session with this secret."""
        return hmac.compare_digest(self.proof, _prove(self.session_id, self.generation, secret))


def make(session_id: str, generation: int, secret: bytes) -> str:
    """The token of that generation of the session's family; the same at every call."""
    body = session_id.encode() + generation.to_bytes(_GENERATION)
    return PREFIX + urlsafe_b64encode(body + _prove(session_id, generation, secret)).decode()


def parse(token: str) -> RefreshToken | None:
    """The content of a token; None when it is none of ours by its shape."""
    if not token.startswith(PREFIX) or not token.isascii():
        return None
    try:
        raw = urlsafe_b64decode(token[len(PREFIX) :])
    except ValueError:
        return None
    if len(raw) != _ID + _GENERATION + _PROOF or not raw[:_ID].isalnum():
        return None
    return RefreshToken(
        session_id=raw[:_ID].decode("ascii"),
        generation=int.from_bytes(raw[_ID : _ID + _GENERATION]),
        proof=raw[_ID + _GENERATION :],
    )


def _prove(session_id: str, generation: int, secret: bytes) -> bytes:
    message = session_id.encode() + generation.to_bytes(_GENERATION) + secret
    return hmac.digest(derived_key("baas-refresh"), message, "sha256")
