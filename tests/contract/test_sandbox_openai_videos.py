"""The sandbox's `/v1/videos` over real HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sandbox.running import Sandbox
from tests.contract.sandbox_http import BEARER, SandboxTests, picture, until

VIDEOS = "/openai_videos/v1/videos"


class TestOpenAIVideos(SandboxTests):
    """A form in, a video behind the key."""

    def submit(self, http: httpx.Client, prompt: str = "a red fox", **fields: Any) -> Any:
        form = {"prompt": (None, prompt), **{name: (None, value) for name, value in fields.items()}}
        return http.post(VIDEOS, files=form, headers=BEARER).json()

    def ended(self, http: httpx.Client, video_id: str) -> Any:
        return until(
            lambda: http.get(f"{VIDEOS}/{video_id}", headers=BEARER),
            lambda body: body.get("status") not in ("queued", "in_progress", "processing"),
        )

    def test_a_video_is_behind_the_key(self, http: httpx.Client) -> None:
        """And its thumbnail; a form's fields come back."""
        created = self.submit(http, seconds="8", size="1280x720", model="sora-2-pro")
        assert (created["object"], created["status"], created["seconds"]) == ("video", "queued", "8")
        video = self.ended(http, created["id"])
        assert (video["status"], video["progress"], video["model"]) == ("completed", 100, "sora-2-pro")
        content = f"{VIDEOS}/{created['id']}/content"
        assert http.get(content).status_code == 401
        assert http.get(content, headers=BEARER).content[4:8] == b"ftyp"
        assert picture(http.get(content, params={"variant": "thumbnail"}, headers=BEARER).content)[0] == "WEBP"

    def test_the_interval_stands_in_a_header(self, http: httpx.Client) -> None:
        """While it is at work."""
        created = self.submit(http, "[fault:never_finishes]")
        assert int(http.get(f"{VIDEOS}/{created['id']}", headers=BEARER).headers["openai-poll-after-ms"]) >= 20

    @pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer bad-key"}])
    def test_a_key_is_demanded(self, sandbox: Sandbox, http: httpx.Client, headers: dict[str, str]) -> None:
        """For all calls."""
        assert http.post(VIDEOS, json={"prompt": "a fox"}, headers=headers).status_code == 401
        assert http.get(f"{VIDEOS}/x", headers=headers).status_code == 401
        assert sandbox.purchases() == []

    def test_refusals(self, http: httpx.Client) -> None:
        """In its own form."""
        assert http.post(VIDEOS, json={}, headers=BEARER).json()["error"]["type"] == "invalid_request_error"
        assert http.post(VIDEOS, json={"prompt": "a", "model": "no-such"}, headers=BEARER).status_code == 404
        http.post("/_sandbox/faults", json=[{"provider": "openai_videos", "fault": "refused", "times": 1}])
        assert self.submit(http)["error"]["code"] == "insufficient_quota"

    def test_failures(self, http: httpx.Client) -> None:
        """With a code and a message."""
        failed = self.ended(http, self.submit(http, "[fault:fail:no_gpu]")["id"])
        moderated = self.ended(http, self.submit(http, "[fault:moderated]")["id"])
        assert (failed["status"], failed["error"]["message"]) == ("failed", "no_gpu")
        assert (moderated["status"], moderated["error"]["code"]) == ("failed", "moderation_blocked")

    def test_the_words_of_gateways(self, http: httpx.Client) -> None:
        """Other words, and an address that wants no key."""
        made = self.ended(http, self.submit(http, "[fault:gateway_words]")["id"])
        stopped = self.ended(http, self.submit(http, "[fault:gateway_words] [fault:interrupted]")["id"])
        assert (made["status"], stopped["status"]) == ("succeeded", "cancelled")
        assert http.get(made["video_url"]).content[4:8] == b"ftyp"

    def test_deleted_and_expired_videos_are_gone(self, http: httpx.Client) -> None:
        """404 after a delete and after the retention; the file may go before."""
        created = self.submit(http)
        self.ended(http, created["id"])
        assert http.delete(f"{VIDEOS}/{created['id']}", headers=BEARER).json()["deleted"] is True
        assert http.get(f"{VIDEOS}/{created['id']}", headers=BEARER).status_code == 404
        assert self.ended(http, self.submit(http, "[fault:expired]")["id"])["error"]["code"] == "not_found"
        kept = self.ended(http, self.submit(http, "[fault:result_expires:0]")["id"])
        assert http.get(f"{VIDEOS}/{kept['id']}/content", headers=BEARER).status_code == 404

    def test_a_remix_and_the_list(self, http: httpx.Client) -> None:
        """Newest first."""
        first = self.submit(http)
        remix = http.post(f"{VIDEOS}/{first['id']}/remix", json={"prompt": "in snow"}, headers=BEARER).json()
        assert remix["remixed_from_video_id"] == first["id"]
        assert [it["id"] for it in http.get(VIDEOS, headers=BEARER).json()["data"]] == [remix["id"], first["id"]]
