"""Code packages: zip files named by their content, kept in the object store."""

import binascii
import hashlib
import io
import zipfile
from base64 import b64decode
from typing import Final

from baas.kernel.problems import FieldError, Invalid, TooLarge, Unavailable
from storage import backends
from storage.backends import StoreError

MAX_PACKED: Final = 50 * 1024 * 1024
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the zip format's first moment


def from_inline(files: dict[str, str]) -> bytes:
    """The package of files given as text; the same files always make the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def from_base64(text: str) -> bytes:
    """Raises Invalid `package_rejected` when it is not Base64."""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise rejected("`zip_base64` is not Base64.") from error


def rejected(detail: str) -> Invalid:
    return Invalid(
        f"The package cannot be accepted: {detail}",
        code="package_rejected",
        errors=[FieldError("code", "package_rejected", detail)],
    )


def require_size(package: bytes) -> None:
    """Raises TooLarge `package_rejected` over 50 MiB."""
    if len(package) > MAX_PACKED:
        raise TooLarge(
            "The package has more than 50 MiB packed: leave out what the function does not need.",
            code="package_rejected",
        )


def digest(package: bytes) -> str:
    """Its name: the SHA-256 of its bytes."""
    return hashlib.sha256(package).hexdigest()


def key(project_id: int, package_digest: str) -> str:
    return f"functions/{project_id}/{package_digest}.zip"


def store(project_id: int, package_digest: str, package: bytes) -> None:
    """Keep the package; durable when it returns. Raises Unavailable `storage_unavailable`."""
    try:
        backends.default().put(key(project_id, package_digest), [package])
    except StoreError as error:
        raise Unavailable(
            f"The package could not be stored: {error}", code="storage_unavailable"
        ) from error


def load(project_id: int, package_digest: str) -> bytes:
    """The bytes of a stored package. Raises StoreError."""
    with backends.default().open(key(project_id, package_digest)) as stream:
        return b"".join(stream)


def forget(project_id: int) -> None:
    """Remove all packages of a project that is gone."""
    store_ = backends.default()
    for found in list(store_.keys(f"functions/{project_id}/")):
        store_.delete(found.key)
