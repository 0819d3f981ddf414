"""The sandbox's ComfyUI over real HTTP."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from sandbox.running import Sandbox
from tests.contract.sandbox_http import SandboxTests, picture, until


def graph(text: str = "a red fox", *kinds: str) -> dict[str, Any]:
    """A graph that draws from a text, with these output nodes."""
    sampler = {"3": {"class_type": "KSampler", "inputs": {"text": text, "seed": 7}}}
    saves = {str(n): {"class_type": kind, "inputs": {"images": ["3", 0]}} for n, kind in enumerate(kinds, start=9)}
    return sampler | (saves or {"9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}}})


class TestComfyUI(SandboxTests):
    """A queue, a history, files and the jobs API."""

    def submit(self, http: httpx.Client, text: str = "a red fox", *kinds: str, **more: Any) -> Any:
        return http.post("/prompt", json={"prompt": graph(text, *kinds), **more}).json()

    def run(self, http: httpx.Client, job_id: str) -> Any:
        return until(lambda: http.get(f"/history/{job_id}"), bool)[job_id]

    def job(self, http: httpx.Client, job_id: str) -> Any:
        return until(
            lambda: http.get(f"/api/jobs/{job_id}"), lambda body: body["status"] not in ("pending", "in_progress")
        )

    def test_a_run_ends_in_the_history_with_its_file(self, http: httpx.Client) -> None:
        """The id is ours, nothing wants a key, and the file is at /view."""
        job_id = str(uuid.uuid4())
        accepted = self.submit(http, prompt_id=job_id)
        assert (accepted["prompt_id"], accepted["node_errors"]) == (job_id, {})

        run = self.run(http, job_id)
        assert (run["status"]["status_str"], run["status"]["completed"]) == ("success", True)
        (image,) = run["outputs"]["9"]["images"]
        assert picture(http.get("/view", params=image).content) == ("PNG", (512, 512))
        assert http.get("/api/view", params=image).status_code == 200
        assert http.get("/view", params={**image, "type": "temp"}).status_code == 404
        assert http.get("/view", params={"filename": "../x.png"}).status_code == 403
        assert http.get("/view").status_code == 400

    def test_every_kind_of_output(self, http: httpx.Client) -> None:
        """Each in the list that the real one has it in."""
        kinds = ("PreviewImage", "SaveVideo", "VHS_VideoCombine", "SaveAudio", "SaveGLB", "PreviewAny")
        outputs = self.run(http, self.submit(http, "a fox", *kinds)["prompt_id"])["outputs"]
        lists = [next(iter(node)) for node in outputs.values()]
        assert lists == ["images", "images", "gifs", "audio", "3d", "text"]
        assert outputs["9"]["images"][0]["type"] == "temp"
        assert outputs["10"]["animated"] == [True]
        assert outputs["14"]["text"] == ["a fox"]
        assert http.get("/view", params=outputs["12"]["audio"][0]).content.startswith(b"RIFF")
        assert http.get("/view", params=outputs["13"]["3d"][0]).content.startswith(b"glTF")

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            ({}, "no_prompt"),
            ({"prompt": {}}, "prompt_no_outputs"),
            ({"prompt": {"3": {"inputs": {}}}}, "invalid_prompt"),
            ({"prompt": {"3": {"class_type": "NoSuchNode"}}}, "invalid_prompt"),
            ({"prompt": graph("no-such.safetensors")}, "prompt_outputs_failed_validation"),
            ({"prompt": graph(), "prompt_id": "7"}, "invalid_prompt_id"),
            ({"prompt": graph(), "prompt_id": str(uuid.uuid4()).upper()}, "invalid_prompt_id"),
        ],
    )
    def test_refusals(self, sandbox: Sandbox, http: httpx.Client, body: dict[str, Any], kind: str) -> None:
        """Each documented type, and nothing runs."""
        answer = http.post("/prompt", json=body)
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, kind)
        assert sandbox.purchases() == []

    def test_bad_outputs_are_dropped_under_a_good_code(self, http: httpx.Client) -> None:
        """By themselves, or as ordered; the others run."""
        bad = graph() | {"12": {"class_type": "SaveImage", "inputs": {}}}
        for accepted in (
            http.post("/prompt", json={"prompt": bad}).json(),
            self.submit(http, "[fault:node_errors]", "PreviewAny", "SaveImage"),
        ):
            (about,) = accepted["node_errors"].values()
            assert about["errors"][0]["message"] == "Required input is missing"
            assert len(self.run(http, accepted["prompt_id"])["outputs"]) == 1

    def test_the_queue_is_a_heap_by_number(self, http: httpx.Client) -> None:
        """Its order is not that of the numbers; `front` goes before all others."""
        http.post("/_sandbox/faults", json=[{"provider": "comfyui", "fault": "never_finishes"}])
        ids = [self.submit(http, f"number {n}", number=n)["prompt_id"] for n in (5, 1, 4, 2, 3)]
        queue = http.get("/queue").json()
        found = {item[1]: item[0] for items in queue.values() for item in items}
        assert [found[job_id] for job_id in ids] == [5, 1, 4, 2, 3]
        assert self.submit(http, "first", front=True)["number"] <= 0

    def test_a_pending_one_is_deleted_and_a_running_one_interrupted(self, http: httpx.Client) -> None:
        """By the old calls; an interrupt with another id stops nothing."""
        running = self.submit(http, "[fault:never_finishes]")["prompt_id"]
        until(lambda: http.get("/queue"), lambda queue: [item[1] for item in queue["queue_running"]] == [running])
        assert http.post("/interrupt", json={"prompt_id": str(uuid.uuid4())}).content == b""
        assert [item[1] for item in http.get("/queue").json()["queue_running"]] == [running]
        http.post("/interrupt", json={"prompt_id": running})
        run = self.run(http, running)
        assert (run["status"]["status_str"], run["status"]["messages"][-1][0]) == ("error", "execution_interrupted")

        pending = self.submit(http, "[fault:never_starts]")["prompt_id"]
        assert http.get(f"/api/jobs/{pending}").json()["status"] == "pending"
        http.post("/queue", json={"delete": [pending]})
        assert http.get(f"/api/jobs/{pending}").json() == {"error": "Job not found"}

    def test_the_jobs_api(self, http: httpx.Client) -> None:
        """Status, cancel, and its too late."""
        pending = self.submit(http, "[fault:never_starts]")["prompt_id"]
        running = self.submit(http, "[fault:never_finishes]")["prompt_id"]
        until(lambda: http.get(f"/api/jobs/{running}"), lambda job: job["status"] == "in_progress")
        for job_id in (pending, running):
            assert http.post(f"/api/jobs/{job_id}/cancel").json() == {"cancelled": True}
            assert http.post(f"/api/jobs/{job_id}/cancel").json() == {"cancelled": False}
        assert http.get(f"/api/jobs/{pending}").status_code == 404
        assert http.get(f"/api/jobs/{running}").json()["status"] == "cancelled"
        failed = self.submit(http, "[fault:fail:out_of_memory]")["prompt_id"]
        assert self.job(http, failed)["execution_error"]["exception_message"] == "out_of_memory"
        done = self.submit(http, "a hare")["prompt_id"]
        assert self.job(http, done)["outputs"]["9"]["images"]
        listed = http.get("/api/jobs", params={"status": "completed,failed"}).json()["jobs"]
        assert [job["id"] for job in listed] == [done, failed]

    def test_an_older_server_has_no_jobs_api(self, http: httpx.Client) -> None:
        """It answers as for any path that is not there."""
        job_id = self.submit(http, "[fault:older_server]")["prompt_id"]
        answer = http.get(f"/api/jobs/{job_id}")
        assert (answer.status_code, answer.text) == (404, "404: Not Found")
        assert http.post(f"/api/jobs/{job_id}/cancel").status_code == 405
        assert self.run(http, job_id)["outputs"]

    def test_a_history_that_is_lost(self, http: httpx.Client) -> None:
        """As after a restart: absent, and nothing proves that it ran."""
        job_id = self.submit(http, "[fault:expired]")["prompt_id"]
        until(lambda: http.get("/queue"), lambda queue: not any(queue.values()))
        assert http.get(f"/history/{job_id}").json() == {}
        assert http.get(f"/api/jobs/{job_id}").status_code == 404
