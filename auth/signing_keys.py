"""The keys that sign a project's access tokens.

ES256: measured 117 µs a verification against 136 µs for EdDSA (PyJWT on OpenSSL), and every JWT
library knows it.
"""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from django.conf import settings
from django.db import transaction

from baas.kernel import config_cache, db, encryption, ids

ALGORITHM: Final = "ES256"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    kid: str
    private_key: ec.EllipticCurvePrivateKey


# Which keys verify: the one in force, and retired ones as long as a token of theirs may be valid.
_SELECT_VERIFYING: Final = (
    "SELECT kid, public_key FROM baas_auth_signingkey WHERE project_id = %(project_id)s"
    " AND (retired_at IS NULL OR retired_at > now() - make_interval(secs => %(token_s)s))"
)


def _load_in_force(project_id: int, _key: str) -> SigningKey | None:
    row = db.fetch_one(
        "SELECT kid, private_key FROM baas_auth_signingkey"
        " WHERE project_id = %s AND retired_at IS NULL",
        (project_id,),
    )
    if row is None:
        return None
    der = encryption.decrypt(bytes(row[1]), _context(project_id, row[0]))
    private_key = load_der_private_key(der, password=None)
    assert isinstance(private_key, ec.EllipticCurvePrivateKey)  # noqa: S101 - we made it
    return SigningKey(kid=row[0], private_key=private_key)


def _load_public(project_id: int, kid: str) -> ec.EllipticCurvePublicKey | None:
    row = db.fetch_one(
        _SELECT_VERIFYING + " AND kid = %(kid)s",
        {"project_id": project_id, "kid": kid, "token_s": settings.ACCESS_TOKEN_S},
    )
    return _public_key(row[1]) if row else None


_in_force = config_cache.ConfigCache("signing key", _load_in_force)
_public = config_cache.ConfigCache("verifying key", _load_public)


def in_force(project_id: int) -> SigningKey:
    """The key to sign with; made at the project's first need."""
    key = _in_force.get(project_id, "")
    if key is None:
        _insert(project_id)
        key = _load_in_force(project_id, "")
        assert key is not None  # noqa: S101 - we or somebody else just made it
    return key


def verifying(project_id: int, kid: str) -> ec.EllipticCurvePublicKey | None:
    """The public key of that name, None when the project has none such (any more)."""
    return _public.get(project_id, kid)


@transaction.atomic
def rotate(project_id: int) -> str:
    """Sign with a new key from now on; tokens that are out stay valid. Returns the new `kid`."""
    db.execute(
        "UPDATE baas_auth_signingkey SET retired_at = now()"
        " WHERE project_id = %s AND retired_at IS NULL",
        (project_id,),
    )
    _insert(project_id)
    config_cache.changed(project_id)
    key = _load_in_force(project_id, "")
    assert key is not None  # noqa: S101 - just made
    return key.kid


def jwks(project_id: int) -> dict[str, Any]:
    """The public keys as a JWK set (RFC 7517), the one in force first."""
    in_force(project_id)
    rows = db.fetch_all(
        _SELECT_VERIFYING + " ORDER BY created_at DESC",
        {"project_id": project_id, "token_s": settings.ACCESS_TOKEN_S},
    )
    return {"keys": [_jwk(kid, _public_key(der)) for kid, der in rows]}


def _insert(project_id: int) -> None:
    kid = ids.new_id()
    private_key = ec.generate_private_key(ec.SECP256R1())
    public_der = private_key.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    private_der = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    # Two processes may come to this at the same moment: the first one's key is the project's.
    db.execute(
        "INSERT INTO baas_auth_signingkey (kid, project_id, public_key, private_key, created_at)"
        " VALUES (%s, %s, %s, %s, now())"
        " ON CONFLICT (project_id) WHERE retired_at IS NULL DO NOTHING",
        (kid, project_id, public_der, encryption.encrypt(private_der, _context(project_id, kid))),
    )


def _context(project_id: int, kid: str) -> str:
    return f"signing key {kid} of project {project_id}"


def _public_key(der: bytes) -> ec.EllipticCurvePublicKey:
    key = load_der_public_key(bytes(der))
    assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101 - we made it
    return key


def _jwk(kid: str, key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": _base64url(numbers.x),
        "y": _base64url(numbers.y),
        "kid": kid,
        "alg": ALGORITHM,
        "use": "sig",
    }


def _base64url(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes(32)).rstrip(b"=").decode()
