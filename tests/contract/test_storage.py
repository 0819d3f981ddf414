"""What a store must do for bide, proven over two servers that share no code; refusals over one that refuses at will."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import SpooledTemporaryFile

import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

from bide.errors import ConfigurationError, InvalidRequestError, StorageError
from bide.providers.base import InputForm
from bide.storage import MAX_METADATA_BYTES, PART_BYTES, Storage, StorageOptions, header_safe, parse_uri
from workers.io.http import HttpClient
from workers.io.inputs import InputFetcher

ACCESS_KEY, SECRET_KEY = "bide-test", "SECRET-of-the-test"
LARGE = os.urandom(1024) * 1024 * 20 + b"tail"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys that boto3's own chain finds, and nothing from the machine's own files."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


def storage_at(endpoint_url: str, bucket: str = "results", *, max_attempts: int = 1) -> Storage:
    """A storage whose requests are not repeated, unless told so."""
    return Storage(
        StorageOptions(
            bucket,
            endpoint_url=endpoint_url,
            region="us-east-1",
            connect_timeout_seconds=2,
            read_timeout_seconds=10,
            max_attempts=max_attempts,
        )
    )


@pytest.fixture(scope="module", name="moto_url")
def _moto_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module", name="nanio_url")
def _nanio_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("nanio")), "serve", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "NANIO_ACCESS_KEY": ACCESS_KEY, "NANIO_SECRET_KEY": SECRET_KEY}
    data = tmp_path_factory.mktemp("nanio")
    with subprocess.Popen(
        [*command, "--data-dir", str(data), "--log-level", "error", "--no-access-log"], env=environment
    ) as server:
        try:
            _wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Until the port answers; a server that gave up fails the test."""
    while server.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.05)
    pytest.fail("nanio did not start")


@cache
def bucket_at(url: str) -> Storage:
    """The storage of all tests at a server: making a client takes longer than most of them."""
    storage = storage_at(url)
    storage.client.create_bucket(Bucket="results")
    return storage


class StorageContract:
    """What every store must do; a subclass brings its server as the fixture `url`."""

    @pytest.fixture(name="storage")
    def _storage(self, url: str) -> Storage:
        return bucket_at(url)

    def test_an_object_comes_back_with_all_that_was_said_of_it(self, storage: Storage) -> None:
        """Content, type and metadata survive; letters beyond ASCII are percent-encoded."""
        metadata = {"job": "j-1", "order": "größe 5", "Note_1": "100%"}
        storage.put("a/b/0.png", b"content", content_type="image/png", metadata=metadata)
        head = storage.client.head_object(Bucket="results", Key="a/b/0.png")
        assert storage.get(storage.uri("a/b/0.png"), max_bytes=100) == b"content"
        assert head["ContentType"] == "image/png"
        assert head["Metadata"] == {"job": "j-1", "order": "gr%C3%B6%C3%9Fe%205", "note-1": "100%25"}

    @pytest.mark.parametrize("key", ["täg/日本.png", "a b+c/ä&=?.png"])
    def test_keys_may_hold_any_letters(self, storage: Storage, key: str) -> None:
        """A key is taken as it is, in puts, gets and presigned addresses."""
        storage.put(key, key.encode(), content_type="text/plain")
        assert storage.get(storage.uri(key), max_bytes=100) == key.encode()
        with urllib.request.urlopen(storage.presign(storage.uri(key), expires_seconds=60)) as answer:
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

    def test_existence_is_told(self, storage: Storage) -> None:
        """A key that was put is there, another is not."""
        storage.put("there", b"x", content_type="text/plain")
        assert storage.exists("there")
        assert not storage.exists("not-there")

    def test_a_large_object_is_not_read_into_memory(self, storage: Storage) -> None:
        """The limit is told, and it is final."""
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
                assert await asyncio.to_thread(_fetched, upload.url) == file.getvalue()
            assert "/jobs/j1/inputs/" in addresses["style"].url
            with pytest.raises(InvalidRequestError, match=r"inputs\.person: s3://results/gone: NoSuchKey"):
                await fetcher.prepare({"person": "s3://results/gone"}, InputForm.FILE, key_for=str)
            await client.aclose()

        asyncio.run(main())


def _fetched(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return bytes(answer.read())


class TestMoto(StorageContract):
    """Over moto's server."""

    @pytest.fixture
    def url(self, moto_url: str) -> str:
        return moto_url


class TestNanio(StorageContract):
    """Over nanio, which enforces signatures."""

    @pytest.fixture
    def url(self, nanio_url: str) -> str:
        return nanio_url

    @pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    def test_wrong_keys_are_final_and_not_repeated(
        self, url: str, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        """The message names the variables, never the keys."""
        monkeypatch.setenv(variable, "WRONG-SECRET")
        with pytest.raises(StorageError, match="AWS_SECRET_ACCESS_KEY") as refused:
            storage_at(url).put("k", b"x", content_type="text/plain")
        assert refused.value.permanent
        assert "SECRET-" not in str(refused.value)
        assert ACCESS_KEY not in str(refused.value)

    def test_a_presigned_address_can_not_be_bent(self, storage: Storage) -> None:
        """It opens one object, no other."""
        storage.put("mine", b"1", content_type="text/plain")
        storage.put("other", b"2", content_type="text/plain")
        bent = storage.presign("s3://results/mine", expires_seconds=60).replace("/mine?", "/other?")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(bent)
        refused.value.close()
        assert refused.value.code == 403


class Refuser:
    """A store that answers every request alike and remembers the headers that came."""

    def __init__(self, status: int, code: str) -> None:
        seen: list[dict[str, str]] = []
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode() if code else b""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                seen.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.seen = seen
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self) -> Refuser:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def storage(self, *, max_attempts: int = 1) -> Storage:
        return storage_at(f"http://127.0.0.1:{self.server.server_port}", max_attempts=max_attempts)


def test_a_put_carries_an_explicit_digest_and_no_surprises() -> None:
    """SHA-256 of the content; neither the checksums nor the Expect header that other stores stumble over."""
    with Refuser(200, "") as store:
        store.storage().put("k", b"content", content_type="image/png")
    headers = store.seen[0]
    assert headers["x-amz-checksum-sha256"] == b64encode(hashlib.sha256(b"content").digest()).decode()
    assert not {"expect", "x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm", "transfer-encoding"} & set(headers)


@pytest.mark.parametrize(
    ("status", "code", "permanent"),
    [
        (403, "AccessDenied", True),
        (403, "InvalidAccessKeyId", True),
        (403, "SignatureDoesNotMatch", True),
        (404, "NoSuchBucket", True),
        (400, "InvalidRequest", True),
        (400, "SomethingNew", True),
        (501, "NotImplemented", True),
        (500, "InternalError", False),
        (503, "SlowDown", False),
        (400, "RequestTimeout", False),
        (400, "BadDigest", False),
        (400, "ExpiredToken", False),
        (403, "RequestTimeTooSkewed", False),
        (404, "NoSuchUpload", False),
        (409, "OperationAborted", False),
        (429, "TooManyRequests", False),
    ],
)
def test_refusals_are_told_apart_by_whether_trying_again_helps(status: int, code: str, permanent: bool) -> None:
    """Every refusal raises, names bucket, key and code, and says whether it is final."""
    with Refuser(status, code) as store, pytest.raises(StorageError, match=f"s3://results/a/k: {code}") as refused:
        store.storage().put("a/k", b"x", content_type="text/plain")
    assert refused.value.permanent is permanent
    assert ("; " in str(refused.value)) is permanent


def test_a_store_that_does_not_know_the_digest_is_told_apart() -> None:
    """No guessing, no silent second try without the digest: the message names the header."""
    with Refuser(501, "NotImplemented") as store, pytest.raises(StorageError, match="x-amz-checksum-sha256"):
        store.storage().put("k", b"x", content_type="text/plain")
    assert len(store.seen) == 1


def test_passing_trouble_is_retried_as_often_as_set() -> None:
    """Puts are safe to repeat, and boto3 does it."""
    with Refuser(503, "SlowDown") as store, pytest.raises(StorageError):
        store.storage(max_attempts=2).put("k", b"x", content_type="text/plain")
    assert len(store.seen) == 2


def test_a_store_that_is_away_may_come_back() -> None:
    """Nobody listens: not final, and no matter of the bucket's name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        storage = storage_at(f"http://127.0.0.1:{probe.getsockname()[1]}")
    with pytest.raises(StorageError, match="can not be reached") as put:
        storage.put("k", b"x", content_type="text/plain")
    with pytest.raises(StorageError, match="can not be reached") as check:
        storage.check()
    assert not put.value.permanent
    assert not check.value.permanent


def test_an_endpoint_that_is_no_address_is_a_matter_of_configuration() -> None:
    """The message names the variable."""
    with pytest.raises(ConfigurationError, match="BIDE_S3__ENDPOINT_URL"):
        storage_at("not an address").put("k", b"x", content_type="text/plain")


def test_missing_keys_are_final(monkeypatch: pytest.MonkeyPatch) -> None:
    """No keys anywhere: the message says which variables boto3 reads."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StorageError, match="AWS_ACCESS_KEY_ID") as missing:
        storage_at("http://127.0.0.1:9").put("k", b"x", content_type="text/plain")
    assert missing.value.permanent


def test_metadata_stays_within_what_s3_has_room_for() -> None:
    """What does not fit is left out; what fits after it still goes."""
    safe = header_safe({"a": "x" * 1500, "b": "y" * 1500, "c": "\n\ud800"})
    assert safe == {"a": "x" * 1500, "c": "%0A?"}
    assert sum(len(name) + len(value) for name, value in safe.items()) <= MAX_METADATA_BYTES


@pytest.mark.parametrize("uri", ["", "s3://", "s3://b", "s3://b/", "s3:///k", "http://b/k"])
def test_what_is_no_storage_address_is_refused(uri: str) -> None:
    """Bucket and key must both be there."""
    with pytest.raises(InvalidRequestError):
        parse_uri(uri)


def test_a_storage_address_is_taken_apart() -> None:
    """Everything behind the bucket is the key, as it is."""
    assert parse_uri("s3://bucket/a/b?c=%20#d") == ("bucket", "a/b?c=%20#d")


def test_without_boto3_only_use_fails() -> None:
    """A caller's installation has no boto3: importing works, using says what to install."""
    program = """
import sys
sys.modules["boto3"] = sys.modules["botocore"] = None
from bide.errors import ConfigurationError
from bide.storage import Storage, StorageOptions
storage = Storage(StorageOptions("b"))
try:
    storage.put("k", b"x", content_type="text/plain")
except ConfigurationError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "bide[s3]" in told


def test_presigned_addresses_name_the_public_endpoint() -> None:
    """Others fetch from the address under which they reach the store, which its signature covers."""
    options = StorageOptions(
        "pictures", endpoint_url="http://internal:9000", public_endpoint_url="https://s3.example.com"
    )
    address = Storage(options).presign("s3://pictures/a/b.png", expires_seconds=60)
    assert address.startswith("https://s3.example.com/pictures/a/b.png?")
