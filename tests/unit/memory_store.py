"""An object store in memory, as far as bulk runs use one."""

from __future__ import annotations

import io
from typing import IO, Any, cast

from bide.errors import StorageError
from bide.storage import Storage, StorageOptions, header_safe


class MemoryClient:
    """What boto3's client does for reads; a range may end behind its object."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        #: The metadata of objects.
        self.metadata: dict[str, Any] = {}

    def get_object(self, *, Bucket: str, Key: str, Range: str = "") -> dict[str, Any]:  # noqa: N803 - boto3's names
        if Key not in self.objects:
            raise StorageError(f"{Key}: NoSuchKey", permanent=True)
        content = self.objects[Key]
        if Range:
            first, _, last = Range.removeprefix("bytes=").partition("-")
            content = content[int(first) : int(last) + 1 if last else None]
        return {"Body": Body(content), "ContentLength": len(content)}

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803 - boto3's names
        del self.objects[Key]

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, *, Bucket: str, Prefix: str, Delimiter: str = "") -> list[Any]:  # noqa: N803 - boto3's names
        found = sorted(key for key in self.objects if key.startswith(Prefix))
        if not Delimiter:
            return [{"Contents": [{"Key": key} for key in found]}]
        ends = {key: key.find(Delimiter, len(Prefix)) + 1 for key in found}
        folders = sorted({key[:end] for key, end in ends.items() if end})
        whole = [{"Key": key} for key, end in ends.items() if not end]
        return [{"Contents": whole, "CommonPrefixes": [{"Prefix": each} for each in folders]}]

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        return {"Metadata": header_safe(self.metadata.get(Key) or {})}

    def get_bucket_versioning(self, *, Bucket: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        return {}

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto3's names
        for each in Delete["Objects"]:
            self.objects.pop(each["Key"], None)
        return {}


class Body(io.BytesIO):
    """An object's content, as botocore hands it out."""

    def iter_chunks(self, size: int) -> Any:
        return iter(lambda: self.read(size), b"")


class MemoryStorage:
    """`Storage` without a server."""

    def __init__(self) -> None:
        self.options = StorageOptions("memory")
        self.client = MemoryClient()

    def uri(self, key: str) -> str:
        return f"s3://memory/{key}"

    def put(self, key: str, content: bytes | IO[bytes], **more: Any) -> None:
        if not isinstance(content, bytes):
            content.seek(0)
            content = content.read()
        self.client.objects[key] = content
        self.client.metadata[key] = more.get("metadata")

    def get(self, uri: str, *, max_bytes: int) -> bytes:
        key = uri.removeprefix("s3://memory/")
        if key not in self.client.objects:
            raise StorageError(f"{uri}: NoSuchKey", permanent=True)
        return self.client.objects[key][:max_bytes]

    def presign(self, uri: str, *, expires_seconds: int) -> str:
        return (
            f"https://store.example/{uri.removeprefix('s3://')}?X-Amz-Expires={expires_seconds}&X-Amz-Signature=5%2F6"
        )

    def exists(self, key: str) -> bool:
        return key in self.client.objects


def memory_storage() -> Storage:
    """One for code that wants a `Storage`."""
    return cast("Storage", MemoryStorage())
