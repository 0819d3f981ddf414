"""The sandbox as a whole, over real HTTP: keys, counts, restarts, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.running import Sandbox
from tests.contract.sandbox_http import BEARER, IMAGE, LATENCY_SECONDS, PHOTOGPT, PICTURE, SandboxTests, picture

BOOTH: dict[str, Any] = {
    "mode": "style_sdxl_zero",
    "style": "SteamPunk",
    "params": {"Sex": "man", "Face": PICTURE, "Fon": PICTURE},
}


class TestSandbox(SandboxTests):
    """Keys, counts and the work behind a poll."""

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/cyberphotobooth/api/async/submit"),
            ("GET", "/cyberphotobooth/api/async/status/x"),
            ("GET", "/nextry/generation/tools"),
            ("POST", "/nextry/generation/generate_image_v2/"),
            ("GET", "/nextry/user/generation-history/x"),
            ("GET", "/photogpt/api/jobs/x"),
            ("GET", "/photogpt/api/models/x/train"),
        ],
    )
    def test_a_bearer_token_is_demanded(self, sandbox: Sandbox, http: httpx.Client, method: str, path: str) -> None:
        """No key and the bad key are both refused, and nothing is bought."""
        for headers in ({}, {"Authorization": "Bearer bad-key"}, {"Authorization": "Basic a-key"}):
            assert http.request(method, path, headers={"API-Version": "1", **headers}).status_code == 401
        assert sandbox.purchases() == []

    def test_the_counts(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """Requests, polls and purchases are counted, and a reset forgets them."""
        job_id = http.post("/photogpt/api/images/generation", json=IMAGE, headers=PHOTOGPT).json()["result"]["jobId"]
        for _ in range(3):
            http.get(f"/photogpt/api/jobs/{job_id}", headers=PHOTOGPT)

        stats = sandbox.stats()
        assert (stats["requests"], stats["polls"], stats["purchases"]) == (4, 3, 1)
        assert stats["providers"]["photogpt"] == {"poll": 3, "submit": 1, "purchases": 1}

        sandbox.reset()
        assert (sandbox.stats()["requests"], sandbox.purchases()) == (0, [])

    def test_a_poll_of_a_job_at_work_draws_nothing(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """Pictures are made when they are fetched, not while the job is asked about."""
        prompt = "a fox nobody drew [fault:never_finishes]"
        body = {**BOOTH, "params": {"Face": PICTURE, "Prompt": prompt}}
        job_id = http.post("/cyberphotobooth/api/async/submit", json=body, headers=BEARER).json()["job_id"]
        before = sandbox.stats()["drawn"]

        for _ in range(5):
            http.get(f"/cyberphotobooth/api/async/status/{job_id}", headers=BEARER)

        assert sandbox.stats()["drawn"] == before


def test_jobs_survive_a_kill_with_a_journal(tmp_path: Path) -> None:
    """Killed and started again, at the same port, the sandbox still knows what was bought."""
    with Sandbox(latency_seconds=LATENCY_SECONDS, journal=tmp_path / "purchases.jsonl") as sandbox:
        url = sandbox.url("photogpt")
        job_id = httpx.post(f"{url}/images/generation", json=IMAGE, headers=PHOTOGPT).json()["result"]["jobId"]
        bought = sandbox.purchases()
        sandbox.kill()

        sandbox.start()

        assert sandbox.purchases() == bought
        assert sandbox.url("photogpt") == url
        assert httpx.get(f"{url}/jobs/{job_id}", headers=PHOTOGPT).json()["result"]["jobId"] == job_id


def test_results_of_a_wanted_size() -> None:
    """With result_bytes every file has about that size."""
    with (
        Sandbox(latency_seconds=0.0, result_bytes=50_000) as sandbox,
        httpx.Client(base_url=sandbox.base_url, headers=PHOTOGPT) as http,
    ):
        body = {**IMAGE, "numImages": 2}
        job_id = http.post("/photogpt/api/images/generation", json=body).json()["result"]["jobId"]
        images = http.get(f"/photogpt/api/jobs/{job_id}").json()["result"]["images"]
        files = [http.get(image["url"]).content for image in images]

    assert all(abs(len(content) - 50_000) < 20 for content in files)
    assert picture(files[0])[0] in ("PNG", "WEBP")


def test_one_key_only() -> None:
    """With a key set, no other is taken."""
    with Sandbox(key="right") as sandbox:
        url = f"{sandbox.url('nextry')}/generation/tools"
        codes = [httpx.get(url, headers={"Authorization": f"Bearer {key}"}).status_code for key in ("right", "wrong")]

    assert codes == [200, 401]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_without_a_traceback(tmp_path: Path, ending: signal.Signals) -> None:
    """Even with a request hanging; the port file and the line tell the same port."""
    port_file = tmp_path / "port"
    command = [sys.executable, "-m", "sandbox", "--port-file", str(port_file)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        port = int(port_file.read_text())
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=0.3) as http:
            body = {**IMAGE, "prompt": "[fault:accept_then_hang]"}
            with pytest.raises(httpx.ReadTimeout):
                http.post("/photogpt/api/images/generation", json=body, headers=PHOTOGPT)
            process.send_signal(ending)
            _, errors = process.communicate(timeout=5)

    assert f"photogpt=http://127.0.0.1:{port}/photogpt/api" in ready
    assert (process.returncode, errors) == (0, "")
