"""What is to be known of an object store to use it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from bide.storage_digests import Checksum

#: The libraries that can put a small object.
Puts = Literal["obstore", "boto3"]


@dataclass(frozen=True)
class StorageOptions:
    """The options of a store; `endpoint_url` None: AWS. Access keys come by boto3's own chain and are not held here."""

    bucket: str
    endpoint_url: str | None = None
    _: KW_ONLY
    #: The address at which others, such as providers, reach the store; None: `endpoint_url`.
    public_endpoint_url: str | None = None
    region: str | None = None
    #: None: "path" where an endpoint is set, as most stores that are not AWS want it, else "auto".
    addressing_style: Literal["auto", "path", "virtual"] | None = None
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 60.0
    #: Tries of one request, the first one included.
    max_attempts: int = 4
    max_connections: int = 64
    #: The digest that goes with each object and each part; some stores refuse `x-amz-checksum-sha256`.
    checksum: Checksum = "sha256"
    #: The library that puts small objects; boto3 does everything else.
    puts: Puts = "boto3"
