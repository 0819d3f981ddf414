"""A deployment whose object store takes nothing buys nothing: jobs wait in line until it does, and all end well."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bide.ledger.processes import running
from tests.contract.odd_stores import Proxy, like_backblaze, refuses_all, takes_all
from tests.integration.caller import Caller, image, marker
from tests.integration.doctoring import doctor
from tests.integration.processes import ROOT
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

#: Size of a result [bytes].
RESULT_BYTES = 20_000

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


class ProxiedRig(Rig):
    """A deployment that reaches its store through a proxy, which refuses from the start."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, result_bytes=RESULT_BYTES)
        self.proxy = Proxy(self.store.url, like_backblaze)

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "BIDE_S3__ENDPOINT_URL": self.proxy.url}


@pytest.fixture(scope="module", name="proxied")
def _proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedRig]:
    rig = ProxiedRig(tmp_path_factory.mktemp("refusing"))
    with rig.proxy, rig:
        yield rig


@pytest.fixture(name="caller")
def _caller(proxied: ProxiedRig) -> Iterator[Caller]:
    with Caller(proxied.redis.url) as caller:
        yield caller


def explained(rig: Rig, job_id: str) -> dict[str, Any]:
    """What `bide explain` says."""
    command = [sys.executable, "-c", "from bide.cli import main; main()", "explain", job_id, "--json"]
    done = subprocess.run(command, cwd=ROOT, env=rig.environment(), capture_output=True, text=True, check=True)
    story: dict[str, Any] = json.loads(done.stdout)
    return story


def refusal(rig: Rig) -> str:
    """What the worker has noted of its store."""
    with rig.server() as server:
        return " ".join(process.store_refusal for process in running(server))


def healthy(rig: Rig) -> str:
    """What the health check prints of a healthy worker; '' of another, such as one that has only just started."""
    command = [sys.executable, "-m", "workers.health", "worker"]
    done = subprocess.run(command, cwd=ROOT, env=rig.environment(), capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def test_nothing_is_bought_until_the_store_takes_objects(proxied: ProxiedRig, caller: Caller) -> None:
    """Jobs of a refusing store stay in line, everything says why, and they end well once it takes objects."""
    marked = marker()
    jobs = [caller.submit(image(f"{marked} {number}")) for number in range(8)]

    eventually(lambda: proxied.counts().get("queued") == 8, what="all jobs stand in line")
    eventually(lambda: "store.refuses" in proxied.worker.output(), what="the worker says so")
    eventually(lambda: "InvalidArgument" in refusal(proxied), what="the worker notes it")
    story = explained(proxied, jobs[0].id)
    health = eventually(lambda: healthy(proxied), what="the worker counts as healthy")
    report = json.loads(doctor(proxied, "--json").stdout)["findings"]
    assert proxied.purchases(marked) == []
    assert "mend the object store" in story["to_do"]
    assert "InvalidArgument, HTTP 400" in story["to_do"]
    assert "it submits nothing: the object store" in health
    remedies = {finding["check"]: finding["remedy"] for finding in report}
    assert "BIDE_S3__CHECKSUM=md5" in remedies["checksum setting"]
    assert any(check.startswith("store of worker-") for check in remedies)

    proxied.proxy.rule = takes_all
    results = [job.get(timeout=60) for job in jobs]
    assert {result["state"] for result in results} == {"succeeded"}
    assert len(proxied.purchases(marked)) == 8
    assert "store.accepts" in proxied.worker.output()
    assert [name for name in proxied.store.names() if name.startswith(("bide-probe", "bide-doctor"))] == []


def test_a_store_that_goes_bad_stops_the_next_submits(proxied: ProxiedRig, caller: Caller) -> None:
    """A paid result that can't be stored has the store tested; polls go on, and later jobs wait for it."""
    proxied.proxy.rule = takes_all
    first = caller.submit(image(marker()))
    eventually(lambda: proxied.state(first.id) == "running", what="the first is bought")
    proxied.proxy.rule = refuses_all
    eventually(lambda: proxied.state(first.id) == "storing", what="it is polled to its end")
    eventually(lambda: "AccessDenied, HTTP 403" in refusal(proxied), what="its failed upload has the store tested")

    marked = marker()
    second = caller.submit(image(marked))
    eventually(lambda: "does not take" in explained(proxied, second.id)["why"][0], what="it waits")
    assert proxied.purchases(marked) == []
    assert proxied.state(second.id) == "queued"
    proxied.proxy.rule = takes_all
    assert first.get(timeout=60)["state"] == second.get(timeout=60)["state"] == "succeeded"
    assert len(proxied.purchases(marked)) == 1
