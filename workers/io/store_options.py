"""The object store as the settings name it, for results and for tests of it."""

from __future__ import annotations

from dataclasses import replace

from bide.settings.model import Settings
from bide.storage import StorageOptions

#: How long the object store may be silent in a test [seconds].
PROBE_READ_SECONDS = 10.0


def storage_options(settings: Settings) -> StorageOptions:
    """The store of a worker, with connections for all of its steps."""
    return StorageOptions(
        bucket=settings.s3.bucket,
        endpoint_url=settings.s3.endpoint_url,
        public_endpoint_url=settings.s3.public_endpoint_url,
        region=settings.s3.region,
        addressing_style=settings.s3.addressing_style,
        checksum=settings.s3.checksum,
        puts=settings.s3.puts,
        connect_timeout_seconds=settings.timing.connect_timeout_seconds,
        read_timeout_seconds=settings.timing.read_timeout_seconds,
        max_connections=2 * settings.worker.concurrency,
    )


def probe_options(settings: Settings) -> StorageOptions:
    """The same store for a test, which is to end soon; boto3 says what the store refuses."""
    options = storage_options(settings)
    read_seconds = min(PROBE_READ_SECONDS, options.read_timeout_seconds)
    return replace(options, read_timeout_seconds=read_seconds, max_attempts=2, max_connections=2, puts="boto3")
