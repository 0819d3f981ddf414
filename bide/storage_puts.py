"""Puts of small objects through obstore, which takes a quarter of boto3's CPU; what it can't do is left to boto3."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bide import __version__
from bide.errors import ConfigurationError
from bide.storage_options import StorageOptions

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_s3 import S3Client
    from obstore.store import S3Store

#: After so many puts in a row that failed here, boto3 has all of them for a while [seconds].
MAX_MISSES, REST_SECONDS = 3, 60.0

#: Metadata of these names would go as headers of the object itself.
_HEADERS = frozenset({"cache-control", "content-disposition", "content-encoding", "content-language", "content-type"})

#: Variables by which obstore, and not boto3, would say more of each object: with one of them set, boto3 has all puts.
_STEERED_BY = ("AWS_CHECKSUM_ALGORITHM", "AWS_SERVER_SIDE_ENCRYPTION", "AWS_SSE_")

#: For how long access keys are used before boto3 is asked for them again.
KEYS_LIVE = timedelta(minutes=6)


class LeanPuts:
    """Puts to one bucket, each tried once. Threads may share it.

    Address, region and access keys are those that boto3 found; the payload is signed, and its SHA-256 goes with it.
    """

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._misses = 0
        self._rests_until = 0.0

    def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str,
        metadata: Mapping[str, str],
        tags: Mapping[str, str] | None = None,
    ) -> str | None:
        """Store an object. Returns its version, '' where it has none; None where boto3 shall try it, and say why."""
        if not _can_say(key, metadata) or time.monotonic() < self._rests_until:
            return None
        import obstore  # noqa: PLC0415 - comes with the workers
        from obstore.exceptions import BaseError  # noqa: PLC0415 - as above

        attributes = {"Content-Type": content_type, **metadata}
        try:
            stored = obstore.put(
                self._store,
                key,
                body,
                attributes=attributes,
                tags=dict(tags) if tags else None,
                use_multipart=False,
            )
        except (BaseError, ValueError):  # ValueError: what it does not take as a key
            self._miss()
            return None
        self._misses = 0
        return stored["version"] or ""

    def _miss(self) -> None:
        self._misses += 1
        if self._misses >= MAX_MISSES:
            self._misses, self._rests_until = 0, time.monotonic() + REST_SECONDS


def lean_puts(options: StorageOptions, client: S3Client) -> LeanPuts | None:
    """Puts to where `client` puts; None where boto3 has them all: by the options, or since obstore knows no MD5.

    Raises `ConfigurationError` where obstore is not installed.
    """
    if options.puts == "boto3" or options.checksum == "md5" or any(name.startswith(_STEERED_BY) for name in os.environ):
        return None
    try:
        import boto3.session  # noqa: PLC0415 - comes by an extra
        from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415 - comes with the workers
        from obstore.store import S3Store  # noqa: PLC0415 - as above
    except ImportError:
        raise ConfigurationError(
            "BIDE_S3__PUTS=obstore needs obstore: pip install 'bide[worker]', or set BIDE_S3__PUTS=boto3"
        ) from None
    session = boto3.session.Session()
    try:
        keys = Boto3CredentialProvider(session, ttl=KEYS_LIVE)
    except ValueError:  # there are none: boto3 says it better
        return None
    return LeanPuts(
        S3Store(
            config=_config(options, client),
            client_options=_client_options(options, session),
            retry_config={"max_retries": 0},
            credential_provider=keys,
        )
    )


def _can_say(key: str, metadata: Mapping[str, str]) -> bool:
    """Whether obstore keeps key and metadata as they are: it cuts outer slashes, and knows some names as headers."""
    return key.strip("/") == key and not any(name in _HEADERS for name in metadata)


def _config(options: StorageOptions, client: S3Client) -> Any:
    """Where objects go. The bucket's address comes from boto3, which knows all styles and environments."""
    address = client.generate_presigned_url("put_object", Params={"Bucket": options.bucket, "Key": "key"})
    config = {
        "bucket": options.bucket,
        "endpoint": address.partition("?")[0].removesuffix("/key"),
        "virtual_hosted_style_request": True,  # the address names the bucket, be it as host or as path
        "region": client.meta.region_name or "us-east-1",
        "unsigned_payload": False,
        "skip_signature": False,
        "s3_express": False,
        "request_payer": False,
        "disable_tagging": False,
    }
    return {**config, "checksum_algorithm": "SHA256"} if options.checksum == "sha256" else config


def _client_options(options: StorageOptions, session: Session) -> Any:
    bundle = session._session.get_config_variable("ca_bundle")
    with_bundle = {"root_certificate": Path(bundle).read_bytes()} if bundle else {}
    return {
        "allow_http": True,
        "connect_timeout": timedelta(seconds=options.connect_timeout_seconds),
        "timeout": timedelta(seconds=options.read_timeout_seconds),
        "pool_max_idle_per_host": str(options.max_connections),
        "user_agent": f"bide/{__version__} obstore",
        **with_bundle,
    }
