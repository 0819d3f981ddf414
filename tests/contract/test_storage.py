"""What a store must do for bide, proven over two servers that share no code."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from bide.errors import StorageError
from bide.storage import Storage
from tests.contract.storage_contract import StorageContract
from tests.contract.stores import ACCESS_KEY, moto, nanio, set_keys, storage_at


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_keys(monkeypatch)


@pytest.fixture(scope="module", name="moto_url")
def _moto_url() -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture(scope="module", name="nanio_url")
def _nanio_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with nanio(tmp_path_factory.mktemp("nanio")) as url:
        yield url


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
