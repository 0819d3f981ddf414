"""The digest that goes with an object to a store: boto3's arguments for each value of `BIDE_S3__CHECKSUM`."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any, Literal, get_args

#: What goes with each object, the strongest first. `none`: the signature of the request alone covers the content.
Checksum = Literal["sha256", "md5", "none"]
CHECKSUMS: tuple[Checksum, ...] = get_args(Checksum)


def of_body(checksum: Checksum, body: bytes, *, sha256: str | None = None) -> dict[str, str]:
    """For a put of `body`, whole or as a part. `sha256` (hex) saves a second computation."""
    match checksum:
        case "sha256":
            digest = bytes.fromhex(sha256) if sha256 else hashlib.sha256(body).digest()
            return {"ChecksumSHA256": _base64(digest)}
        case "md5":
            return {"ContentMD5": _base64(hashlib.md5(body, usedforsecurity=False).digest())}
        case "none":
            return {}


def is_of(body: bytes, sha256: str | None) -> bool:
    """Whether a digest (hex) is that of `body`; None: the caller gave none."""
    return sha256 is None or hashlib.sha256(body).hexdigest() == sha256


def of_upload(checksum: Checksum) -> dict[str, Any]:
    """For the begin of an upload in parts."""
    return {"ChecksumAlgorithm": "SHA256"} if checksum == "sha256" else {}


def of_part(checksum: Checksum, digest: dict[str, str]) -> dict[str, str]:
    """For the list of parts at the end of an upload, by the digest that the part was put with."""
    return digest if checksum == "sha256" else {}


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode("ascii")
