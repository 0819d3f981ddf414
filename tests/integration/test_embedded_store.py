"""`bide up` with a store of one's own, named in `.env`: its keys reach the processes, and it names what is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bide.client import Client
from sandbox.running import Sandbox
from tests.contract.odd_stores import Proxy, refuses_all, takes_all
from tests.integration.object_store import BUCKET, SECRET_KEY, ObjectStore
from tests.integration.test_embedded import Run, bide, deployment
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

__all__ = ["bide", "deployment"]  # the fixtures

REQUEST = {"provider": "photogpt", "operation": "images.upscaling", "params": {"imageID": "i1"}}


@pytest.fixture(name="store")
def _store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    store = ObjectStore(tmp_path_factory.mktemp("store"))
    try:
        store.process.start()
        yield store
    finally:
        store.process.kill()


def env_file(folder: Path, **variables: str) -> None:
    """The deployment's `.env`."""
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))


def test_keys_of_the_env_file_reach_the_processes(
    bide: Callable[..., Run], deployment: Path, store: ObjectStore
) -> None:
    """A job is bought and stored there; with a store that refuses nothing is bought, and `bide up` says so first."""
    with Sandbox(latency_seconds=0.2) as sandbox, Proxy(store.url, refuses_all) as proxy:
        provider = {
            "BIDE_PROVIDERS__PHOTOGPT__BASE_URL": sandbox.url("photogpt"),
            "BIDE_PROVIDERS__PHOTOGPT__API_KEY": "k",
            "BIDE_PROVIDERS__PHOTOGPT__MEDIA_HOSTS": json.dumps([f"127.0.0.1:{sandbox.port}"]),
            "BIDE_PROVIDERS__PHOTOGPT__POLL_FIRST_SECONDS": "1",
        }
        env_file(deployment, **{**store.environment(), "BIDE_S3__ENDPOINT_URL": proxy.url, **provider})
        run = bide("up")
        run.hears("for clients")
        assert "the object store takes no test object: an object in one piece" in run.text()
        assert "`bide doctor` says what to do" in run.text()
        assert "providers" not in run.text()
        broker = json.loads((deployment / ".bide/up/stack.json").read_text())["environment"]["BIDE_BROKER_URL"]
        with Client(broker) as client:
            job_id = client.submit(REQUEST)
            log = deployment / ".bide/up/logs/worker.log"
            eventually(lambda: "held_back" in log.read_text(), what="the job waits")
            assert sandbox.purchases() == []
            proxy.rule = takes_all
            result = client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)
        assert [output.bucket for output in result.outputs] == [BUCKET]
        assert store.names("bide-probe/") == []
        assert SECRET_KEY not in run.text() + "".join(log.read_text() for log in log.parent.iterdir())


@pytest.mark.whole
def test_what_is_missing_is_said_at_the_start(bide: Callable[..., Run], deployment: Path) -> None:
    """A store that nobody serves, and no provider with a key; the stack starts all the same."""
    env_file(deployment, BIDE_S3__BUCKET="b-1", BIDE_S3__ENDPOINT_URL="http://127.0.0.1:9", AWS_ACCESS_KEY_ID="a")
    run = bide("up", BIDE_PROVIDERS__PHOTOGPT__BASE_URL="http://127.0.0.1:9")
    run.hears("for clients")
    assert re.search(r"objects +the object store takes no test object: .*AWS_SECRET_ACCESS_KEY", run.text())
    assert re.search(r"providers +none has a key: set BIDE_PROVIDERS__<NAME>__API_KEY", run.text())
