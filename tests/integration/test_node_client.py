"""A caller in another language: celery-node, from npm."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.caller import image, marker
from tests.integration.rig import Rig
from tests.integration.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]

PACKAGE = "celery-node@0.5.9"

SCRIPT = """
const celery = require("celery-node");
const [url, request] = process.argv.slice(2);
const client = celery.createClient(url, url, "bide.submit");
const result = client.createTask("bide.generate").applyAsync([JSON.parse(request)]);
result.get(TIMEOUT)
  .then((told) => { console.log(JSON.stringify({ id: result.taskId, told })); process.exit(0); })
  .catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client installed in it."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm and node are not installed")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text("{}")
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", PACKAGE]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{PACKAGE} can't be had from the registry: {error}")
    (folder / "submit.js").write_text(SCRIPT.replace("TIMEOUT", f"{1000 * PATIENCE_SECONDS:g}"))
    return folder


def test_a_job_from_node(node_folder: Path, rig: Rig) -> None:
    """A Node service submits a job and awaits its result, with nothing of ours."""
    marked = marker()
    command = ["node", "submit.js", rig.redis.url, json.dumps(image(marked))]

    done = subprocess.run(
        command, cwd=node_folder, capture_output=True, text=True, timeout=2 * PATIENCE_SECONDS, check=False
    )

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert (answer["told"]["job_id"], answer["told"]["state"]) == (answer["id"], "succeeded")
    assert len(rig.purchases(marked)) == 1
