"""`bide metrics` beside a deployment: what its processes count arrives at Prometheus, from all of them."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.caller import Caller, image, succeeded
from tests.integration.processes import ROOT, Process
from tests.integration.rig import Rig
from tests.integration.servers import free_port
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Values = dict[str, float]


#: An account that no other test has jobs in.
ACCOUNT = "metered"


def values_of(text: str) -> Values:
    """Samples of our account and of none, by name, and `name outcome`, `name state` where there are several."""
    found: Values = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            more = [value for label, value in one.labels.items() if label not in ("provider", "account")]
            if one.labels.get("account", ACCOUNT) == ACCOUNT:
                found[" ".join((one.name.removeprefix("bide_"), *more))] = one.value
    return found


def test_a_job_is_counted_by_all_who_had_a_part_in_it(rig: Rig, caller: Caller, tmp_path: Path) -> None:
    """Submit and store by the worker, polls by the poller: all of it arrives within a few turns of the sweeper."""
    port = str(free_port())
    env = rig.environment() | {"BIDE_METRICS__PORT": port}
    exporter = Process.of_procfile("metrics", env=env, ready=r"metrics at (http://\S+)/metrics", folder=tmp_path)
    try:
        url = exporter.start()[1]

        def scraped() -> Values:
            with OPENER.open(f"{url}/metrics", timeout=10) as answer:
                return values_of(answer.read().decode())

        before = scraped()
        result = succeeded(caller.submit(image(account=ACCOUNT)))

        def grown(name: str) -> float:
            return after.get(name, 0.0) - before.get(name, 0.0)

        def counted() -> Values | None:
            seen = scraped()
            names = ("stored_bytes_total", "submits_total submitted", "polls_total ended")
            counted = all(seen.get(name, 0) > before.get(name, 0) for name in names)
            # what other tests have left there is none of this one's business, and soon taken
            return seen if counted and seen["queue_messages bide.submit"] == 0 else None

        after = eventually(counted, what="the job is counted, and its queue is empty")
        assert after["up"] == after["broker_up"] == 1
        assert grown("stores_total stored") >= 1
        assert grown("stored_objects_total") >= len(result["outputs"])
        assert grown("stored_bytes_total") >= sum(output["size"] for output in result["outputs"])
        assert grown("poll_lateness_seconds_count") >= grown("polls_per_job_sum") >= result["polls"]
        assert after["jobs running"] == after["jobs queued"] == 0
        assert 0 <= after["account_unattended_seconds"] < 30

        check = [sys.executable, "-m", "workers.health", "metrics"]
        healthy = subprocess.run(check, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert healthy.stdout == f"the exporter answers at http://127.0.0.1:{port}/healthz\n", healthy.stderr
        exporter.ask_to_end()
        assert exporter.wait(20) == 0
    finally:
        exporter.kill()


def test_metrics_are_printed_once(rig: Rig) -> None:
    """For an operator without Prometheus; without Redis they say so, and the exit code too."""
    bide = [str(Path(sys.executable).with_name("bide")), "metrics", "--once"]
    env = rig.environment()
    printed = subprocess.run(bide, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert "\nbide_up 1.0\n" in printed.stdout
    env["BIDE_BROKER_URL"] = f"redis://127.0.0.1:{free_port()}/0"
    away = subprocess.run(bide, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=30)
    assert away.returncode == 1
    assert "\nbide_up 0.0\n" in away.stdout
    assert "metrics.no_snapshot" in away.stderr
