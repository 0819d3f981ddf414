"""Callbacks of `bide up` without a setting: a receiver on this machine verifies them by the secret the stack made."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bide.client import Client
from sandbox.running import Sandbox
from tests.integration.receiver import Call, Receiver
from tests.integration.test_embedded import Run, bide, deployment
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.integration, pytest.mark.whole, pytest.mark.timeout(300)]

__all__ = ["bide", "deployment"]  # the fixtures

REQUEST = {"provider": "photogpt", "operation": "images.upscaling", "params": {"imageID": "i1"}}

#: A secret of the deployment's own.
OWN_SECRET = "whsec_c29tZWJvZHktcy1vd24tc2VjcmV0LTAxMjM0NTY3"


@pytest.fixture(scope="module")
def provider() -> Iterator[dict[str, str]]:
    """The variables of `bide up` for a provider that answers quickly."""
    with Sandbox(latency_seconds=0.2) as sandbox:
        hosts = json.dumps([f"127.0.0.1:{sandbox.port}"])
        values = {"BASE_URL": sandbox.url("photogpt"), "API_KEY": "k", "MEDIA_HOSTS": hosts, "POLL_FIRST_SECONDS": "1"}
        yield {f"BIDE_PROVIDERS__PHOTOGPT__{name}": value for name, value in values.items()}


def called_back(folder: Path, secret: str) -> Call:
    """Have one job done by the stack of a folder, and return what a receiver gets about it."""
    env = json.loads((folder / ".bide/up/stack.json").read_text())["environment"]
    with Receiver(secret) as receiver, Client(env["BIDE_BROKER_URL"]) as client:
        job_id = client.submit(REQUEST, callback_url=receiver.url())
        client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)
        return eventually(lambda: receiver.about(job_id), what="called back")[0]


def test_a_callback_is_signed_without_any_setting(
    bide: Callable[..., Run], deployment: Path, provider: dict[str, str]
) -> None:
    """With the secret in the file that the stack names; after a restart it is the same one."""
    run = bide("up", **provider)
    file = deployment / run.hears(r"signed with the secret in (\S+)")[1]
    run.hears("for clients")
    secret = file.read_text().strip()
    assert called_back(deployment, secret).event["type"] == "job.succeeded"
    assert secret not in "".join(log.read_text() for log in (deployment / ".bide/up/logs").iterdir())
    run.process.send_signal(signal.SIGINT)
    assert run.ends() == 0
    bide("up", **provider).hears("for clients")
    assert file.read_text().strip() == secret


def test_one_s_own_secret_goes_before(bide: Callable[..., Run], deployment: Path, provider: dict[str, str]) -> None:
    """Where it is set, none is made."""
    run = bide("up", **provider, BIDE_CALLBACKS__SECRET=OWN_SECRET)
    run.hears("for clients")
    assert called_back(deployment, OWN_SECRET).event["type"] == "job.succeeded"
    assert "signed with" not in run.text()
    assert not (deployment / ".bide/up/callbacks.secret").exists()
