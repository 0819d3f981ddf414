"""What `bide providers try` is given: the account of the environment, params, and pictures."""

from __future__ import annotations

import json
import mimetypes
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bide.cli.connection import read_environment
from bide.providers.base import Account, InputForm, Provider, Submission, Upload


def account_of(adapter: Provider) -> tuple[Account, tuple[str, ...]]:
    """The account of the environment, and its hosts of media; other settings are not read.

    Raises `ClickException` with all variables that are missing.
    """
    prefix, environment = prefix_of(adapter), read_environment()
    secrets = {name: environment.get(f"{prefix}{name.upper()}", "") for name in adapter.credentials}
    missing = [f"{prefix}{name.upper()}" for name, value in secrets.items() if not value]
    base_url = environment.get(f"{prefix}BASE_URL") or adapter.default_base_url
    if not base_url:
        missing.append(f"{prefix}BASE_URL")
    if missing or not base_url:
        raise click.ClickException(f"not set up: set {', '.join(missing)}")
    hosts = tuple(part.strip(' []"') for part in environment.get(f"{prefix}MEDIA_HOSTS", "").split(","))
    key = secrets.pop("api_key", "")
    return Account(base_url.rstrip("/"), key, secrets=secrets), tuple(filter(None, hosts))


def prefix_of(adapter: Provider) -> str:
    """What begins the names of the provider's variables."""
    return f"BIDE_PROVIDERS__{adapter.name.upper()}__"


def submission_of(adapter: Provider, operation: str | None, params: str, inputs: tuple[str, ...]) -> Submission:
    """The request that the options describe; the operation may be left out where the file has one alone."""
    operation = operation or (next(iter(adapter.operations)) if len(adapter.operations) == 1 else "")
    if operation not in adapter.operations:
        raise click.ClickException(f"--operation: {adapter.name} has {', '.join(adapter.operations)}")
    offered = adapter.operations[operation]
    given = dict(_upload(each, offered.inputs) for each in inputs)
    return Submission("try", operation, _params(params), given, key=str(uuid.uuid4()) if offered.idempotency else "")


def _params(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except (ValueError, OSError) as error:
        raise click.ClickException(f"--params: is neither JSON nor @FILE with JSON ({error})") from None
    if not isinstance(found, dict):
        raise click.ClickException("--params: is no JSON object")
    return found


def _upload(text: str, form: InputForm | None) -> tuple[str, Upload]:
    name, separator, place = text.partition("=")
    if not (name and separator and place):
        raise click.ClickException(f"--input {text}: is not of the form name=place")
    if form is InputForm.URL:
        return name, Upload(name, url=place)
    try:
        content = Path(place).read_bytes()
    except OSError as error:
        raise click.ClickException(f"--input {name}: {place} can't be read ({error.strerror})") from None
    return name, Upload(name, content, mimetypes.guess_type(place)[0] or "application/octet-stream")
