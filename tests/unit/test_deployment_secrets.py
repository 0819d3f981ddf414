"""docker-compose.yml's secrets: files that a script makes, one password for both sides, nothing in the environment."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from config.settings import load
from tests.unit.compose import COMPOSE, MOUNTED, ROOT, SERVICES, TEXT, files, secrets


def test_no_secret_stands_in_the_file() -> None:
    """Passwords and keys lie in files, also where the example or an older `.env` would give one by the environment."""
    secret = re.compile(r"PASSWORD|SECRET|KEY|AUTH|BROKER_URL")
    values = {
        (key, value)
        for service in SERVICES.values()
        for key, value in service.get("environment", {}).items()
        if secret.search(key)
    }

    assert {key for key, value in values if not value} >= {key.removesuffix("_FILE") for key, value in values if value}
    assert all(value.startswith(MOUNTED) for _, value in values if value)
    assert re.findall(r"://\w*:[^$/\s][^/\s]*@", TEXT) == []


#: Who is given which secrets, and no other.
HOLDERS = {
    "worker": {"redis_url", "aws_credentials", "callback_secret", "hooks_secret", "providers"},
    "poller": {"redis_url", "hooks_secret", "providers"},
    "beat": {"redis_url"},
    "flower": {"redis_url", "flower_password"},
    "metrics": {"redis_url"},
    "pages": {"redis_url", "aws_credentials", "flower_password", "providers"},
    "hooks": {"redis_url", "hooks_secret"},
    "valkey": {"valkey.conf"},
    "seaweedfs": {"s3.json"},
    "sandbox": set[str](),
}

#: What `.env` may contain besides, as an owner of the deployment would write it there.
WRITTEN = {
    "AWS_ACCESS_KEY_ID": "aws_credentials",
    "AWS_SECRET_ACCESS_KEY": "aws_credentials",
    "BIDE_CALLBACKS__SECRET": "callback_secret",
    "BIDE_CALLBACKS__PREVIOUS_SECRET": "callback_secret",
    "BIDE_HOOKS__SECRET": "hooks_secret",
    "BIDE_HOOKS__SECRET_FILE": "hooks_secret",
    "BIDE_FLOWER__PASSWORD": "flower_password",
}


@pytest.mark.parametrize("name", SERVICES)
def test_each_has_the_secrets_that_it_needs(name: str) -> None:
    """Files that are mounted, and what `.env` would bring in besides: keys of the store and the rest reach few."""
    service = SERVICES[name]
    mounted = {volume.split(":")[0] for volume in service.get("volumes", [])}
    given = set(service.get("secrets", [])) | ({"providers"} if "./secrets/providers" in mounted else set())
    assert given == HOLDERS[name]
    if "env_file" in service:
        reached = {secret for variable, secret in WRITTEN.items() if service["environment"].get(variable) != ""}
        assert reached <= HOLDERS[name]
        assert set(files(name).values()) == HOLDERS[name] - {"providers"}
        assert ("DOTENV" in service["environment"]) == ("providers" in HOLDERS[name])


def test_keys_of_providers_are_read_where_they_are_mounted(tmp_path: Path) -> None:
    """The file that the script makes is read as another `.env`, below what Compose says."""
    folder = shutil.copytree(secrets() / "providers", tmp_path / "providers")
    dotenv = SERVICES["worker"]["environment"]["DOTENV"].removeprefix(f"{MOUNTED}providers/")
    assert load({"BIDE_S3__BUCKET": "results"}, env_file=folder / dotenv).providers == {}

    (folder / "photogpt").write_text("a-key\n")
    (folder / dotenv).write_text(f"BIDE_PROVIDERS__PHOTOGPT__API_KEY_FILE={folder}/photogpt\n")
    settings = load(
        {"BIDE_S3__BUCKET": "results", "BIDE_PROVIDERS__PHOTOGPT__MAX_IN_FLIGHT": "5"}, env_file=folder / dotenv
    )
    account = settings.account("photogpt")
    assert (account.api_key.get_secret_value(), account.max_in_flight) == ("a-key", 5)


def test_secrets_are_made_once(tmp_path: Path) -> None:
    """The script makes every file that is mounted, no two alike, in a closed folder, and leaves them as they are."""
    (tmp_path / "deploy").mkdir()
    script = shutil.copy(ROOT / "deploy" / "make-secrets", tmp_path / "deploy")

    first, second = (made(script, tmp_path / "secrets") for _ in range(2))

    assert first == second
    assert {f"./secrets/{name}" for name in first} == {secret["file"] for secret in COMPOSE["secrets"].values()}
    assert set(first.values()).isdisjoint(made(secrets().parent / "deploy" / "make-secrets", secrets()).values())
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert "/secrets/" in (ROOT / ".gitignore").read_text().split()


def made(script: Path | str, folder: Path) -> dict[str, str]:
    """What lies in the folder after the script has run, by name."""
    subprocess.run([script], check=True, capture_output=True, timeout=30)
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def test_both_sides_have_the_same_secrets() -> None:
    """Valkey and the processes have one password, the store and boto3 one key; receivers can decode the webhook's."""
    files = {path.name: path.read_text().strip() for path in secrets().iterdir() if path.is_file()}
    [identity] = json.loads(files["s3.json"])["identities"]
    credentials = ConfigParser()
    credentials.read_string(files["aws_credentials"])

    assert urlsplit(files["redis_url"]).password == files["valkey.conf"].removeprefix("requirepass ")
    [pair] = identity["credentials"]
    assert pair["accessKey"] == credentials["default"]["aws_access_key_id"] != ""
    assert pair["secretKey"] == credentials["default"]["aws_secret_access_key"] != ""
    assert len(base64.b64decode(files["callback_secret"].removeprefix("whsec_"), validate=True)) == 32
