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

from tests.unit.compose import COMPOSE, MOUNTED, ROOT, SERVICES, TEXT, secrets


def test_no_secret_stands_in_the_file() -> None:
    """Passwords and keys lie in files, also where the example or an older `.env` would give one by the environment."""
    secret = re.compile(r"PASSWORD|SECRET|KEY|AUTH|BROKER_URL")
    values = {
        (key, value)
        for service in SERVICES.values()
        for key, value in service.get("environment", {}).items()
        if secret.search(key)
    }

    assert {key for key, value in values if not value} == {key.removesuffix("_FILE") for key, value in values if value}
    assert all(value.startswith(MOUNTED) for _, value in values if value)
    assert re.findall(r"://\w*:[^$/\s][^/\s]*@", TEXT) == []


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


def test_both_sides_are_told_the_same() -> None:
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
