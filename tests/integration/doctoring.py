"""Running the doctor, and making things wrong for it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery

from bide.settings.model import Settings
from bide.storage import Storage, StorageOptions
from config.celery import celery_settings
from config.settings import load
from tests.integration.object_store import BUCKET, REGION
from tests.integration.processes import ROOT
from tests.integration.rig import Rig
from tests.web_server import WebServer, as_json
from workers.doctor.findings import Finding


def doctor(rig: Rig, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as an operator runs it, in the deployment's folder and environment."""
    command = [sys.executable, "-c", "from bide.cli import main; main()", "doctor", *arguments]
    env = {**_environment(rig), **environment}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=90, check=False)


def settings_of(rig: Rig, **environment: str) -> Settings:
    """The settings of the deployment, with some changed."""
    return load({**_environment(rig), **environment}, None)


def _environment(rig: Rig) -> dict[str, str]:
    """The deployment's, without the account of a provider that is down: it is there for tests of fallbacks."""
    return {name: value for name, value in rig.environment().items() if "__ACCOUNTS__DOWN__" not in name}


def one(findings: Iterable[Finding], check: str) -> Finding:
    """The one finding of a check."""
    [found] = [finding for finding in findings if finding.check.startswith(check)]
    return found


@contextmanager
def configured(rig: Rig, name: str, value: str) -> Iterator[None]:
    """The Redis with another value, for as long as the block lasts."""
    with rig.server() as server:
        before = server.config_get(name)[name]
        server.config_set(name, value)
        try:
            yield
        finally:
            server.config_set(name, before)


@contextmanager
def app_of(settings: Settings) -> Iterator[Celery]:
    """Celery with these settings."""
    with Celery("doctor", set_as_current=False) as app:
        app.config_from_object(celery_settings(settings))
        yield app


def store(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, options: Mapping[str, Any], environment: Mapping[str, str]
) -> Storage:
    """The deployment's object store, reached with other options or keys."""
    for name, value in {**rig.store.environment(), **environment}.items():
        monkeypatch.setenv(name, value)
    usual = {"bucket": BUCKET, "endpoint_url": rig.store.url, "region": REGION, "max_attempts": 1}
    return Storage(StorageOptions(**{**usual, **options}))


@contextmanager
def anybody_may_look() -> Iterator[str]:
    """A server that answers strangers, at an address that others reach too."""
    with WebServer(lambda _: as_json({}), host="0.0.0.0") as server:
        yield f"http://{socket.gethostname()}:{server.port}"
