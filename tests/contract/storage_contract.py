"""What a store must do for bide: a class of tests that a server's own test class inherits."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import urllib.request
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from functools import cache
from tempfile import SpooledTemporaryFile

import pytest
from PIL import Image

from bide.errors import ConfigurationError, InvalidRequestError, StorageError
from bide.providers.base import InputForm
from bide.storage import PART_BYTES, Storage
from bide.storage_digests import CHECKSUMS, Checksum
from bide.storage_options import Puts
from tests.contract.stores import BUCKET, storage_at
from workers.io.http import HttpClient
from workers.io.inputs import InputFetcher

LARGE = os.urandom(1024) * 1024 * 20 + b"tail"


@cache
def bucket_of_server(url: str, checksum: Checksum, puts: Puts) -> Storage:
    """The storage of all tests at a server: making a client takes longer than most of them."""
    storage = storage_at(url, checksum=checksum, puts=puts)
    if BUCKET not in [bucket["Name"] for bucket in storage.client.list_buckets()["Buckets"]]:
        storage.client.create_bucket(Bucket=BUCKET)
    return storage


class StorageContract:
    """What every store must do; a subclass brings its server as the fixture `url`."""

    @pytest.fixture(name="checksum", params=CHECKSUMS)
    def _checksum(self, request: pytest.FixtureRequest) -> Checksum:
        """Each test is made with each digest that may go with an object."""
        chosen: Checksum = request.param
        return chosen

    @pytest.fixture(name="puts", params=["boto3", "obstore"])
    def _puts(self, request: pytest.FixtureRequest, checksum: Checksum) -> Puts:
        """And with each library that puts small objects."""
        chosen: Puts = request.param
        if chosen == "obstore" and checksum == "md5":
            pytest.skip("obstore knows no MD5: boto3 has all puts, whatever the options say")
        return chosen

    @pytest.fixture(name="storage")
    def _storage(self, url: str, checksum: Checksum, puts: Puts) -> Storage:
        return bucket_of_server(url, checksum, puts)

    def test_an_object_comes_back_with_all_that_was_said_of_it(self, storage: Storage) -> None:
        """Content, type and metadata survive; letters beyond ASCII are percent-encoded."""
        metadata = {"job": "j-1", "order": "größe 5", "Note_1": "100%"}
        storage.put("a/b/0.png", b"content", content_type="image/png", metadata=metadata)
        head = storage.client.head_object(Bucket="results", Key="a/b/0.png")
        assert storage.get(storage.uri("a/b/0.png"), max_bytes=100) == b"content"
        assert head["ContentType"] == "image/png"
        assert head["Metadata"] == {"job": "j-1", "order": "gr%C3%B6%C3%9Fe%205", "note-1": "100%25"}

    @pytest.mark.parametrize("key", ["täg/日本.png", "a b+c/ä&=?.png", "a#b/~(c)'*!.png", "a\\b{c}"])
    def test_keys_may_hold_any_letters(self, storage: Storage, key: str) -> None:
        """A key is taken as it is, in puts, gets and presigned addresses."""
        storage.put(key, key.encode(), content_type="text/plain")
        assert storage.get(storage.uri(key), max_bytes=100) == key.encode()
        with urllib.request.urlopen(storage.presign(storage.uri(key), expires_seconds=60)) as answer:
            assert answer.read() == key.encode()
        before = datetime.now(UTC) - timedelta(minutes=5)
        with urllib.request.urlopen(storage.presign(storage.uri(key), expires_seconds=900, as_of=before)) as answer:
            assert answer.read() == key.encode()

    @pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "in parts"])
    def test_a_file_is_stored_whole_as_often_as_asked(self, storage: Storage, content: bytes) -> None:
        """A second attempt with the same file stores the same bytes, wherever the first left off."""
        with SpooledTemporaryFile[bytes](max_size=1000) as file:
            file.write(content)
            for _ in range(2):
                digest = hashlib.sha256(content).hexdigest()
                storage.put("twice", file, content_type="video/mp4", sha256=digest, metadata={"n": "1"})
                assert storage.get("s3://results/twice", max_bytes=len(LARGE)) == content
        head = storage.client.head_object(Bucket="results", Key="twice")
        assert (head["ContentType"], head["Metadata"]) == ("video/mp4", {"n": "1"})

    def test_an_upload_that_fails_leaves_nothing(self, storage: Storage) -> None:
        """Parts of an upload that was never completed would be paid for, unseen."""

        class Failing(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                if self.tell() >= PART_BYTES:
                    raise OSError("disk gone")
                return super().read(size)

        with pytest.raises(OSError, match="disk gone"):
            storage.put("half", Failing(LARGE), content_type="video/mp4")
        assert not storage.exists("half")
        assert storage.client.list_multipart_uploads(Bucket="results").get("Uploads", []) == []

    def test_existence_is_known(self, storage: Storage) -> None:
        """A key that was put is there, another is not."""
        storage.put("there", b"x", content_type="text/plain")
        assert storage.exists("there")
        assert not storage.exists("not-there")

    def test_a_large_object_is_not_read_into_memory(self, storage: Storage) -> None:
        """The error names the limit, and is final."""
        storage.put("large", b"x" * 1000, content_type="text/plain")
        with pytest.raises(StorageError, match="over the limit of 999 bytes") as refused:
            storage.get("s3://results/large", max_bytes=999)
        assert refused.value.permanent
        assert len(storage.get("s3://results/large", max_bytes=1000)) == 1000

    def test_a_missing_object_is_named(self, storage: Storage) -> None:
        """Trying again does not make it appear."""
        with pytest.raises(StorageError, match="s3://results/no/such: NoSuchKey") as missing:
            storage.get("s3://results/no/such", max_bytes=10)
        assert missing.value.permanent

    @pytest.mark.parametrize("content", [b"x", LARGE], ids=["small", "in parts"])
    def test_a_missing_bucket_is_named_with_the_remedy(self, url: str, content: bytes) -> None:
        """An operator reads what to set."""
        with pytest.raises(StorageError, match=r"nowhere/k: NoSuchBucket.*BIDE_S3__BUCKET") as missing:
            storage_at(url, "nowhere").put("k", content, content_type="text/plain")
        assert missing.value.permanent

    def test_the_bucket_is_checked(self, storage: Storage, url: str) -> None:
        """A check is silent where all is well, and else says what to set."""
        storage.check()
        with pytest.raises(ConfigurationError, match=r"bucket nowhere.*BIDE_S3__BUCKET"):
            storage_at(url, "nowhere").check()

    def test_inputs_come_out_of_the_store_and_go_into_it(self, storage: Storage) -> None:
        """A stored picture is read for file forms; one inside a request gets an address for URL forms."""
        file = io.BytesIO()
        Image.effect_noise((16, 9), 80).save(file, "PNG")
        storage.put("in/p.png", file.getvalue(), content_type="image/png")
        inline = b64encode(file.getvalue()).decode()

        async def main() -> None:
            client = HttpClient()
            fetcher = InputFetcher(client, storage, max_bytes=100_000, url_expires_seconds=60)
            stored = {"person": "s3://results/in/p.png"}
            read = await fetcher.prepare(stored, InputForm.BASE64, key_for=str)
            assert read["person"].content == file.getvalue()
            addresses = await fetcher.prepare(
                {**stored, "style": inline}, InputForm.URL, key_for=lambda name: f"jobs/j1/inputs/{name}"
            )
            for upload in addresses.values():
                assert await asyncio.to_thread(fetched, upload.url) == file.getvalue()
            assert "/jobs/j1/inputs/" in addresses["style"].url
            with pytest.raises(InvalidRequestError, match=r"inputs\.person: s3://results/gone: NoSuchKey"):
                await fetcher.prepare({"person": "s3://results/gone"}, InputForm.FILE, key_for=str)
            await client.aclose()

        asyncio.run(main())


def fetched(url: str) -> bytes:
    """What lies at an address."""
    with urllib.request.urlopen(url) as answer:
        return bytes(answer.read())
