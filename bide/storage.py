"""Object storage: puts, gets and presigned addresses in S3-compatible stores, through boto3, small puts by obstore."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, NotRequired, TypedDict, cast
from urllib.parse import quote, urlencode

from bide import __version__, storage_digests, storage_signing
from bide.crashpoints import reached
from bide.errors import ConfigurationError, InvalidRequestError, StorageError
from bide.storage_errors import as_storage_error, boto_errors, http_status
from bide.storage_options import StorageOptions
from bide.storage_puts import LeanPuts, lean_puts
from bide.storage_signing import signed_as_of

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

__all__ = ["MAX_METADATA_BYTES", "PART_BYTES", "Storage", "StorageOptions", "header_safe", "parse_uri"]

#: Up to here an object goes up in one request, a larger one in parts of this size [bytes].
PART_BYTES = 8 * 1024 * 1024

#: Most parts of one upload, set by S3.
MAX_PARTS = 10_000

#: Room for a caller's metadata, names and values together, set by S3 [bytes].
MAX_METADATA_BYTES = 2 * 1024

#: Visible ASCII but for the percent sign; blanks are left out, since signatures disagree over rows of them.
_HEADER_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")


class About(TypedDict):
    """Type, metadata and tags of an object that is put, as boto3 names them."""

    ContentType: str
    Metadata: dict[str, str]
    Tagging: NotRequired[str]


class Storage:
    """One bucket to write to, any to read from. Threads may share it; all its errors are `StorageError`."""

    def __init__(self, options: StorageOptions) -> None:
        self.options = options
        self._lock = threading.Lock()
        self._client: S3Client | None = None
        self._lean: LeanPuts | None = None

    def uri(self, key: str) -> str:
        return f"s3://{self.options.bucket}/{key}"

    def put(
        self,
        key: str,
        content: bytes | IO[bytes],
        *,
        content_type: str,
        sha256: str | None = None,
        metadata: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        in_parts: bool | None = None,
    ) -> str:
        """Store an object whole or not at all; doing it twice is harmless. Returns its version, '' where it has none.

        A file is read from its start at every call and left open. The digest of the options goes with it; `sha256` is
        that of the content (hex; None: it is computed). `metadata` passes through `header_safe`. `tags` need the right
        s3:PutObjectTagging; without them no header of tags is sent. `in_parts` None: a large object goes up in parts.
        """
        file = BytesIO(content) if isinstance(content, bytes) else content
        size = file.seek(0, 2)
        about: About = {"ContentType": content_type, "Metadata": header_safe(metadata or {})}
        if tags:
            about["Tagging"] = urlencode(tags)
        with as_storage_error(self.options.bucket, key):
            if size > PART_BYTES if in_parts is None else in_parts:
                return self._put_in_parts(key, file, size, about)
            return self._put_whole(key, file, sha256, about, tags or {})

    def get(self, uri: str, *, max_bytes: int, version: str = "") -> bytes:
        """The content of `s3://bucket/key`, or of a version of it, in any bucket that the access keys may read."""
        bucket, key = parse_uri(uri)
        named: dict[str, Any] = {"VersionId": version} if version else {}
        with as_storage_error(bucket, key):
            found = self.client.get_object(Bucket=bucket, Key=key, **named)
            with closing(found["Body"]) as body:  # used as a context it gives the raw stream, and with it its errors
                content = body.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise StorageError(f"{uri} is over the limit of {max_bytes} bytes", permanent=True)
        if len(content) != found["ContentLength"]:
            raise StorageError(f"{uri} came short: {len(content)} of {found['ContentLength']} bytes")
        return content

    def presign(self, uri: str, *, expires_seconds: int, as_of: datetime | None = None) -> str:
        """An address at which anyone may fetch `s3://bucket/key` until it expires; signing takes no request.

        `as_of`: the moment from which it counts, in UTC; the same moment gives the same address. None: now.
        """
        bucket, key = parse_uri(uri)
        with as_storage_error(bucket, key), signed_as_of(as_of):
            return self._public_client.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=expires_seconds
            )

    def exists(self, key: str) -> bool:
        """Whether the object is there."""
        with as_storage_error(self.options.bucket, key):
            try:
                self.client.head_object(Bucket=self.options.bucket, Key=key)
            except boto_errors() as error:
                if http_status(error) != 404:
                    raise
                return False
        return True

    def remove(self, key: str, version: str = "") -> None:
        """Remove an object, for good where `version` names what a put has made of it."""
        with as_storage_error(self.options.bucket, key):
            named: dict[str, Any] = {"VersionId": version} if version else {}
            self.client.delete_object(Bucket=self.options.bucket, Key=key, **named)

    def renew(self) -> None:
        """Have the next call look for the access keys anew: boto3 reads most of them once."""
        with self._lock:
            self._client = self._lean = None
            self.__dict__.pop("_public_client", None)

    def check(self) -> None:
        """Check that the bucket is there; raises `ConfigurationError` where an operator must act, or `StorageError`."""
        try:
            with as_storage_error(self.options.bucket, ""):
                self.client.head_bucket(Bucket=self.options.bucket)
        except StorageError as error:
            if not error.permanent:
                raise
            raise ConfigurationError(str(error)) from error

    @property
    def client(self) -> S3Client:
        """boto3's client, made at first use and then shared."""
        if self._client is not None:  # without the lock, so that steps do not wait for one another
            return self._client
        with self._lock:
            if self._client is None:
                client = _connect(self.options)
                self._lean = lean_puts(self.options, client)
                self._client = client
            return self._client

    @cached_property
    def _public_client(self) -> S3Client:
        """The client that signs addresses for others: a signature holds the host name of its use."""
        public = self.options.public_endpoint_url
        return _connect(replace(self.options, endpoint_url=public)) if public else self.client

    def _put_whole(self, key: str, file: IO[bytes], sha256: str | None, about: About, tags: Mapping[str, str]) -> str:
        file.seek(0)
        body = file.read()
        client, lean = self.client, self._lean
        reached("half_uploaded")
        if lean and storage_digests.is_of(body, sha256):
            version = lean.put(key, body, content_type=about["ContentType"], metadata=about["Metadata"], tags=tags)
            if version is not None:
                return version
        digest: dict[str, Any] = storage_digests.of_body(self.options.checksum, body, sha256=sha256)
        stored = client.put_object(Bucket=self.options.bucket, Key=key, Body=body, **digest, **about)
        return stored.get("VersionId", "")

    def _put_in_parts(self, key: str, file: IO[bytes], size: int, about: About) -> str:
        """Upload part by part, so that memory holds one; a failed upload is aborted, since its parts cost money."""
        where: dict[str, Any] = {"Bucket": self.options.bucket, "Key": key}
        upload = self.client.create_multipart_upload(
            **where, **storage_digests.of_upload(self.options.checksum), **about
        )
        where["UploadId"] = upload["UploadId"]
        try:
            parts = [self._put_part(where, number, part) for number, part in enumerate(_parts(file, size), start=1)]
            stored = self.client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
        except BaseException:
            self._abort(where)
            raise
        return stored.get("VersionId", "")

    def _put_part(self, where: Mapping[str, Any], number: int, body: bytes) -> CompletedPartTypeDef:
        digest: dict[str, Any] = storage_digests.of_body(self.options.checksum, body)
        reached("half_uploaded")
        taken = self.client.upload_part(**where, PartNumber=number, Body=body, **digest)
        part = {"PartNumber": number, "ETag": taken["ETag"], **storage_digests.of_part(self.options.checksum, digest)}
        return cast("CompletedPartTypeDef", part)

    def _abort(self, where: Mapping[str, Any]) -> None:
        """Abort an upload; an error of the abort is dropped, since the caller must see why the upload failed."""
        with suppress(*boto_errors()):
            self.client.abort_multipart_upload(**where)


def parse_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; raises `InvalidRequestError`."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise InvalidRequestError("not an address of the form s3://bucket/key")
    return bucket, key


def plain_name(name: str) -> str:
    """The name of metadata as S3 headers can carry it."""
    return re.sub(r"[^a-z0-9-]", "-", name.lower())


def header_safe(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata as S3 headers can carry it: plain names, percent-encoded values, within S3's limit of size."""
    safe: dict[str, str] = {}
    room = MAX_METADATA_BYTES
    for name, value in metadata.items():
        plain = plain_name(name)
        encoded = quote(value.encode(errors="replace"), safe=_HEADER_SAFE)
        if len(plain) + len(encoded) <= room:
            safe[plain] = encoded
            room -= len(plain) + len(encoded)
    return safe


def _connect(options: StorageOptions) -> S3Client:
    boto_errors()
    import boto3.session  # noqa: PLC0415 - boto3 comes by an extra
    from botocore.config import Config  # noqa: PLC0415 - comes with boto3

    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": options.addressing_style or ("path" if options.endpoint_url else "auto")},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "total_max_attempts": options.max_attempts},
        connect_timeout=options.connect_timeout_seconds,
        read_timeout=options.read_timeout_seconds,
        max_pool_connections=options.max_connections,
        tcp_keepalive=True,
        # These three save a fifth of the CPU of a put: botocore composes its own user agent anew for each request.
        user_agent=f"bide/{__version__}",
        parameter_validation=False,
        disable_request_compression=True,
    )
    session = boto3.session.Session()
    try:
        client = session.client("s3", endpoint_url=options.endpoint_url, region_name=options.region, config=config)
    except ValueError as error:
        raise ConfigurationError(f"BIDE_S3__ENDPOINT_URL: {error}") from error
    storage_signing.offer(client)
    client.meta.events.register("before-send.s3.PutObject", _send_at_once)
    return client


def _send_at_once(request: AWSPreparedRequest, **_: object) -> None:
    """Send a small body at once, without `Expect`: that takes a round trip, and some stores never answer it."""
    if "Expect" in request.headers:
        del request.headers["Expect"]


def _parts(file: IO[bytes], size: int) -> Iterator[bytes]:
    part_bytes = max(PART_BYTES, -(-size // MAX_PARTS))
    file.seek(0)
    while part := file.read(part_bytes):
        yield part
