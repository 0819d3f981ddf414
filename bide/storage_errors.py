"""The meaning of a store's error: whether another attempt can help, and what to do about it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bide.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

_KEYS = "check the access keys that boto3 finds (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
_CHECKSUM = (
    "the store may refuse the digest of an object, x-amz-checksum-sha256 unless BIDE_S3__CHECKSUM says otherwise: "
    "`bide doctor` finds the value that it takes"
)

#: The remedy for each of S3's error codes that another attempt does not cure.
_REMEDIES = {
    "NoSuchBucket": "create the bucket, or correct BIDE_S3__BUCKET",
    "NoSuchKey": "there is no such object",
    "AccessDenied": "give these access keys the right to do this",
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "AuthorizationHeaderMalformed": "correct BIDE_S3__REGION",
    "PermanentRedirect": "the bucket lives in another region: correct BIDE_S3__REGION or BIDE_S3__ENDPOINT_URL",
    "NotImplemented": _CHECKSUM,
    "InvalidRequest": _CHECKSUM,
    "InvalidArgument": _CHECKSUM,
    "MalformedXML": _CHECKSUM,
}

#: Error codes below 500 that another attempt cures: of the transfer, the load, the clock, renewed keys.
_PASSING = frozenset(
    {
        "BadDigest",
        "ExpiredToken",
        "IncompleteBody",
        "NoSuchUpload",
        "OperationAborted",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "XAmzContentSHA256Mismatch",
    }
)

#: botocore's own errors that only an operator cures; all its others are errors of the network.
_OPERATOR_CURES = {
    "NoCredentialsError": _KEYS,
    "PartialCredentialsError": _KEYS,
    "ProfileNotFound": "correct AWS_PROFILE",
    "NoRegionError": "set BIDE_S3__REGION",
    "ParamValidationError": "correct the name of the bucket or the object",
    "InvalidRegionError": "correct BIDE_S3__REGION",
}

#: botocore's errors of a connection that was not opened.
_NO_CONNECTION = frozenset({"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError", "SSLError"})


@functools.cache
def boto_errors() -> tuple[type[BotoCoreError], type[ClientError]]:
    """The two roots of all that boto3 raises; raises `ConfigurationError` where it is not installed."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - boto3 comes by an extra
    except ImportError:
        raise ConfigurationError("object storage needs boto3: pip install 'bide[s3]'") from None
    return BotoCoreError, ClientError


@contextmanager
def as_storage_error(bucket: str, key: str) -> Iterator[None]:
    """Raise boto3's errors of the block as `StorageError`; `key` is empty for the bucket itself."""
    try:
        yield
    except boto_errors() as error:
        raise storage_error(error, bucket=bucket, key=key) from error


def storage_error(error: BotoCoreError | ClientError, *, bucket: str, key: str) -> StorageError:
    """The error as `StorageError`, with bucket, key (empty: the bucket itself) and remedy, never the access keys."""
    where = f"s3://{bucket}/{key}" if key else f"bucket {bucket}"
    code = error_code(error, about_bucket=not key)
    if code is None:
        name = type(error).__name__
        remedy = _OPERATOR_CURES.get(name)
        return StorageError(
            f"{where}: {remedy or 'the store can not be reached'} ({name})", permanent=remedy is not None
        )
    status = http_status(error)
    passes = code in _PASSING or status in (408, 409, 429) or (status >= 500 and status != 501)
    remedy = "" if passes else _REMEDIES.get(code) or (_CHECKSUM if _on_digests(error) else "the store refuses this")
    return StorageError(f"{where}: {code}, HTTP {status}" + (f"; {remedy}" if remedy else ""), permanent=not passes)


def error_code(error: BotoCoreError | ClientError, *, about_bucket: bool) -> str | None:
    """S3's code of the error; for a HEAD, whose answer has no body, by its status. None: the store did not answer."""
    response = getattr(error, "response", None)
    if response is None:
        return None
    code = str(response.get("Error", {}).get("Code", ""))
    plain = {"404": "NoSuchBucket" if about_bucket else "NoSuchKey", "403": "AccessDenied", "301": "PermanentRedirect"}
    return plain.get(code, code)


def _on_digests(error: BotoCoreError | ClientError) -> bool:
    """Whether the store's words are about the digest of an object. They are not shown: they may quote keys."""
    return "checksum" in str(getattr(error, "response", {}).get("Error", {}).get("Message", "")).lower()


def unreached(error: StorageError) -> bool:
    """Whether no connection to the store could be opened: nothing can have been stored."""
    return type(error.__cause__).__name__ in _NO_CONNECTION


def http_status(error: BaseException | None) -> int:
    """The HTTP status of the store's answer, by an error of boto3; 0 where no answer came."""
    response = getattr(error, "response", None) or {}
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
