"""How a process finds its object store: the settings of the bucket, and boto3's own variables out of `.env`."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from bide.cli.stores import object_store
from bide.settings.problems import ConfigurationProblems
from bide.settings.reader import export_store_variables
from bide.storage_digests import CHECKSUMS
from config import settings as config_settings
from config.settings import load
from workers.io.store_options import probe_options, storage_options


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the developer's, and none that outlives its test."""
    for name in [name for name in os.environ if name.startswith(("BIDE_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "environ", os.environ.copy())


def test_a_process_takes_the_store_variables_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that begin with AWS_, whatever the process is; nothing else of the file."""
    file = tmp_path / ".env"
    file.write_text(
        "BIDE_S3__BUCKET=results\nAWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=b\nAWS_SESSION_TOKEN=c\n"
        "AWS_PROFILE=work\nAWS_REGION=\nPATH_OF_SOMETHING=x\n"
    )
    monkeypatch.setattr(config_settings, "ENV_FILE", file)
    monkeypatch.setattr(config_settings.load, "__defaults__", (None, file))
    config_settings.settings.cache_clear()
    try:
        assert config_settings.settings().s3.bucket == "results"
    finally:
        config_settings.settings.cache_clear()
    taken = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "PATH_OF"))}
    assert taken == {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_SESSION_TOKEN": "c",
        "AWS_PROFILE": "work",
    }


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_PROFILE": "p"}),
        ({"AWS_PROFILE": "q"}, {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_PROFILE": "q"}),
        ({"AWS_ACCESS_KEY_ID": "z"}, {"AWS_ACCESS_KEY_ID": "z", "AWS_PROFILE": "p"}),
        ({"AWS_SESSION_TOKEN": "z"}, {"AWS_SESSION_TOKEN": "z", "AWS_PROFILE": "p"}),
        ({"AWS_ACCESS_KEY_ID": ""}, {"AWS_ACCESS_KEY_ID": "", "AWS_PROFILE": "p"}),
    ],
    ids=["none", "a profile", "a key", "a token", "kept away"],
)
def test_the_environment_wins(environment: dict[str, str], expected: dict[str, str]) -> None:
    """Access keys are never put together from two places."""
    os.environ.update(environment)
    export_store_variables({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_PROFILE": "p", "OTHER": "x"})
    assert {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "OTHER"))} == expected


@pytest.mark.parametrize("value", ["sha256", "md5", "none", "SHA256", "Md5"])
def test_the_digest_is_a_setting(value: str) -> None:
    """In any letters, for results and for tests of the store, and for the commands."""
    environment = {"BIDE_S3__BUCKET": "results", "BIDE_S3__CHECKSUM": value}
    settings = load(environment, None)
    assert settings.s3.checksum == value.lower()
    assert storage_options(settings).checksum == probe_options(settings).checksum == value.lower()
    store = object_store(environment)
    assert store is not None
    assert store.options.checksum == value.lower()


@pytest.mark.parametrize("value", ["crc32", "sha-256", "true"])
def test_an_unknown_digest_is_refused(value: str) -> None:
    """With the values that there are; in settings and command."""
    environment = {"BIDE_S3__BUCKET": "results", "BIDE_S3__CHECKSUM": value}
    with pytest.raises(ConfigurationProblems, match=r"BIDE_S3__CHECKSUM.*sha256, md5 or none"):
        load(environment, None)
    with pytest.raises(click.ClickException, match=r"BIDE_S3__CHECKSUM: .* is none of sha256, md5, none"):
        object_store(environment)


def test_commands_reach_the_store_as_workers_do() -> None:
    """The same options by the same variables."""
    environment = {
        "BIDE_S3__BUCKET": "results",
        "BIDE_S3__ENDPOINT_URL": "http://127.0.0.1:9",
        "BIDE_S3__REGION": "eu-1",
        "BIDE_S3__ADDRESSING_STYLE": "virtual",
        "BIDE_S3__PUBLIC_ENDPOINT_URL": "https://media.example.com",
        "BIDE_S3__CHECKSUM": "md5",
    }
    store, wanted = object_store(environment), storage_options(load(environment, None))
    assert store is not None
    for name in ("bucket", "endpoint_url", "public_endpoint_url", "region", "addressing_style", "checksum"):
        assert getattr(store.options, name) == getattr(wanted, name), name
    assert CHECKSUMS[0] == storage_options(load({"BIDE_S3__BUCKET": "results"}, None)).checksum
