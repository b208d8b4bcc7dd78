"""Signed URLs: one method on one path, until some time, as the one who signed.

The token holds the signer's `auth`, so the bucket's rules still decide when the URL is used, and
it is encrypted, so whoever gets the URL learns nothing about the signer. It is bound to project,
method, bucket and path by the cipher's associated data.
"""

import base64
import binascii
import hashlib
import os
import time
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from baas.kernel.problems import Forbidden
from storage.caller import Caller

METHODS: Final = ("GET", "PUT")
MAX_EXPIRES_S: Final = 7 * 24 * 3600
_NONCE: Final = 12  # bytes


def _cipher() -> AESGCM:
    # A key of our own: derived, so that nothing else is ever encrypted with it.
    key = hashlib.blake2b(settings.ENCRYPTION_KEY, person=b"storage-urls", digest_size=32)
    return AESGCM(key.digest())


def _bound_to(project_id: int, method: str, bucket: str, path: str) -> bytes:
    return orjson.dumps([project_id, method, bucket, path])


def sign(
    caller: Caller, project_id: int, method: str, bucket: str, path: str, expires_at: int
) -> str:
    """A token for the query string. `expires_at` is in seconds since 1970."""
    content: dict[str, Any] = {"exp": expires_at, "auth": caller.auth}
    if caller.bypasses_rules:
        content["service"] = True
    nonce = os.urandom(_NONCE)
    sealed = _cipher().encrypt(
        nonce, orjson.dumps(content), _bound_to(project_id, method, bucket, path)
    )
    return base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()


def open_token(token: str, ip: str, project_id: int, method: str, bucket: str, path: str) -> Caller:
    """Who signed. Raises Forbidden `invalid_signature` or `url_expired`."""
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        content = orjson.loads(
            _cipher().decrypt(
                data[:_NONCE], data[_NONCE:], _bound_to(project_id, method, bucket, path)
            )
        )
    except (binascii.Error, ValueError, InvalidTag) as error:
        raise Forbidden(
            "The URL was not signed for this: ask for a new one, and do not change it.",
            code="invalid_signature",
        ) from error
    if content["exp"] <= time.time():
        raise Forbidden("The URL has expired: ask for a new one.", code="url_expired")
    return Caller(auth=content["auth"], ip=ip, bypasses_rules=content.get("service", False))
