"""Callers in another language: Celery clients for Node, from npm, and the library of docs/callbacks.md."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bide.webhooks.outgoing import Delivery
from tests.integration.caller import image, marker
from tests.integration.rig import CALLBACK_SECRET, Rig
from tests.integration.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.integration

#: How long npm may take to fetch what is asked for [seconds].
INSTALL_SECONDS = 90


@dataclass(frozen=True)
class Package:
    """An npm package with a program that uses it; the program prints one line of JSON."""

    name: str
    program: str

    def __str__(self) -> str:
        return self.name.partition("@")[0]


CELERY_NODE = Package(
    "celery-node@0.5.9",
    """
const celery = require("celery-node");
const [url, request] = process.argv.slice(2);
const client = celery.createClient(url, url, "bide.submit");
const result = client.createTask("bide.generate").applyAsync([JSON.parse(request)]);
result.get(TIMEOUT)
  .then((outcome) => { console.log(JSON.stringify({ id: result.taskId, outcome })); process.exit(0); })
  .catch((error) => { console.error(error); process.exit(1); });
""",
)

CELERY_TS = Package(
    "celery-ts@1.2.3",
    """
const celery = require("celery-ts");
const [url, requests] = process.argv.slice(2);
const client = celery.createClient({ brokerUrl: url, resultBackend: url });
const task = client.createTask("bide.generate");
const apply = (request) =>
  task.applyAsync({ args: [], kwargs: { request }, queue: "bide.submit", compression: celery.Compressor.Zlib });
const results = JSON.parse(requests).map(apply);
Promise.all(results.map((result) => result.get(TIMEOUT)))
  .then((ends) => { console.log(JSON.stringify({ ids: results.map((it) => it.taskId), ends })); process.exit(0); })
  .catch((error) => { console.error(error); process.exit(1); });
""",
)

WEBHOOKS = Package(
    "standardwebhooks@1.1.1",
    """
const { Webhook } = require("standardwebhooks");
const [secret, headers, body] = process.argv.slice(2);
const event = new Webhook(secret).verify(body, JSON.parse(headers));
console.log(JSON.stringify(event));
""",
)


def run(package: Package, folder: Path, *arguments: str) -> dict[str, Any]:
    """Install a package, run its program, and read the last line that it prints."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm and node are not installed")
    (folder / "package.json").write_text("{}")
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", package.name]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{package.name} can't be had from the registry: {error}")
    (folder / "program.js").write_text(package.program.replace("TIMEOUT", f"{1000 * PATIENCE_SECONDS:g}"))
    done = subprocess.run(
        ["node", "program.js", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed


@pytest.mark.timeout(240)
def test_a_job_by_celery_node(tmp_path: Path, rig: Rig) -> None:
    """A Node service submits a job and awaits its result, with nothing of ours."""
    marked = marker()

    answer = run(CELERY_NODE, tmp_path, rig.redis.url, json.dumps(image(marked)))

    assert (answer["outcome"]["job_id"], answer["outcome"]["state"]) == (answer["id"], "succeeded")
    assert len(rig.purchases(marked)) == 1


@pytest.mark.timeout(240)
def test_jobs_by_celery_ts(tmp_path: Path, rig: Rig) -> None:
    """Several at once, although this client marks all its messages with the same delivery tag."""
    marked = marker()

    answer = run(CELERY_TS, tmp_path, rig.redis.url, json.dumps([image(f"{marked} {number}") for number in range(5)]))

    assert [(it["job_id"], it["state"]) for it in answer["ends"]] == [(it, "succeeded") for it in answer["ids"]]
    assert len(rig.purchases(marked)) == 5


@pytest.mark.timeout(240)
def test_a_callback_is_verified_in_node(tmp_path: Path) -> None:
    """As docs/callbacks.md shows it: the library checks the signature over the body as it came, whatever is in it."""
    delivery = Delivery("https://example.com/", "msg_1", json.dumps({"type": "job.succeeded", "data": "\u2713 fox"}))
    headers = delivery.headers([CALLBACK_SECRET], now=datetime.now(UTC))

    event = run(WEBHOOKS, tmp_path, CALLBACK_SECRET, json.dumps(headers), delivery.body)

    assert event == json.loads(delivery.body)
