"""The object store for a caller: it takes large inputs, and gives results addresses that anyone can fetch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

from bide.contract import JobResult, Output
from bide.errors import ConfigurationError


class Uploads(Protocol):
    """A store for large inputs, such as `bide.storage.Storage`."""

    def put(self, key: str, body: Any, *, content_type: str, metadata: Mapping[str, str] | None = None) -> object:
        """Store `body` under `key`. For a request with `retention_days` it gets `tags`, too: a mapping of texts."""
        ...

    def uri(self, key: str) -> str:
        """The `s3://` address of `key`."""
        ...


@runtime_checkable
class Presigner(Protocol):
    """A store that signs addresses, such as `bide.storage.Storage`."""

    def presign(self, uri: str, *, expires_seconds: int) -> str:
        """An https:// address for an `s3://` one, good for `expires_seconds`."""
        ...


class PresignedOutput(Output):
    """One stored object, with an address at which anyone can fetch it for a while."""

    url: str


class PresignedResult(JobResult):
    """A job's result with addresses at which anyone can fetch its outputs for a while."""

    outputs: tuple[PresignedOutput, ...]


def presigned(result: JobResult, store: object, *, seconds: float) -> PresignedResult:
    """The result with addresses, good for `seconds`; raises `ConfigurationError` for a store that can't sign."""
    if not isinstance(store, Presigner):
        raise ConfigurationError(
            "presigned addresses need object storage: pip install 'bide[s3]', then "
            "Client(..., uploads=bide.client.object_store(BUCKET)), with keys that may read the bucket"
        )
    signed = [
        PresignedOutput(**dict(output), url=store.presign(output.uri, expires_seconds=max(1, int(seconds))))
        for output in result.outputs
    ]
    return PresignedResult(**{**dict(result), "outputs": tuple(signed)})


def object_store(
    bucket: str,
    *,
    endpoint_url: str | None = None,
    public_endpoint_url: str | None = None,
    region: str | None = None,
    addressing_style: Literal["auto", "path", "virtual"] | None = None,
    checksum: Literal["sha256", "md5", "none"] = "sha256",
) -> Uploads:
    """The deployment's bucket, for `Client(uploads=...)`; keys come by boto3's own chain.

    Raises `ConfigurationError` where the extra `s3` is not installed.
    """
    try:
        import boto3  # noqa: F401, PLC0415 - comes with an extra that most callers do not need
    except ImportError:
        raise ConfigurationError("object storage needs boto3: pip install 'bide[s3]'") from None
    from bide.storage import Storage, StorageOptions  # noqa: PLC0415 - it needs boto3

    return Storage(
        StorageOptions(
            bucket,
            endpoint_url=endpoint_url,
            public_endpoint_url=public_endpoint_url,
            region=region,
            addressing_style=addressing_style,
            checksum=checksum,
        )
    )
