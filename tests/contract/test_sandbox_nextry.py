"""The sandbox's Nextry over real HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from sandbox.running import Sandbox
from tests.contract.sandbox_http import BEARER, SandboxTests, picture, until

SWAP = {"clothes": ("c.png", b"clothes", "image/png"), "person": ("p.png", b"person", "image/png")}


class TestNextry(SandboxTests):
    """Tools, generation types, generate_image_v2/ and the history."""

    def submit(self, http: httpx.Client, prompt: str = "") -> Any:
        form = {"tool": "fashion_swap", "prompt": prompt}
        return http.post("/nextry/generation/generate_image_v2/", data=form, files=SWAP, headers=BEARER).json()

    def item(self, http: httpx.Client, job_id: str) -> Any:
        path = f"/nextry/user/generation-history/{job_id}"
        return until(lambda: http.get(path, headers=BEARER), lambda body: body["status"] != "pending")

    def test_a_job_ends_with_paths_at_the_origin(self, http: httpx.Client) -> None:
        """Planned paths without a slash first, paths with one in the end; no key for the files."""
        accepted = self.submit(http)
        assert http.get("/" + accepted["stock_image"]).status_code == 404

        item = self.item(http, accepted["history_item_id"])

        assert item["status"] == "complete"
        assert (item["stock_url"], item["preview_url"]) == tuple(
            "/" + accepted[name] for name in ("stock_image", "preview_image")
        )
        assert picture(http.get(item["stock_url"]).content) == ("PNG", (512, 512))
        assert picture(http.get(item["preview_url"]).content) == ("WEBP", (256, 256))

    def test_pending_has_no_urls(self, http: httpx.Client) -> None:
        """There is no state between pending and the end."""
        job_id = self.submit(http, "[fault:never_finishes]")["history_item_id"]

        item = http.get(f"/nextry/user/generation-history/{job_id}", headers=BEARER).json()

        assert (item["status"], item["stock_url"], item["preview_url"]) == ("pending", None, None)

    def test_without_the_slash_it_redirects_and_buys_nothing(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """FastAPI's 307."""
        answer = http.post("/nextry/generation/generate_image_v2", data={"tool": "default"}, files=SWAP, headers=BEARER)

        assert answer.status_code == 307
        assert answer.headers["location"].endswith("/nextry/generation/generate_image_v2/")
        assert sandbox.purchases() == []

    def test_files_that_a_tool_needs_are_demanded(self, http: httpx.Client) -> None:
        """Each missing file is named; a body that is not multipart has no tool."""
        path, only = "/nextry/generation/generate_image_v2/", {"person": SWAP["person"]}

        one = http.post(path, data={"tool": "fashion_swap"}, files=only, headers=BEARER)
        none = http.post(path, json={"tool": "fashion_swap"}, headers=BEARER)
        other = http.post(path, data={"tool": "juggling"}, files=only | {"image": SWAP["person"]}, headers=BEARER)

        assert [problem["loc"] for problem in one.json()["detail"]] == [["body", "clothes"]]
        assert (one.status_code, none.status_code, other.status_code) == (422, 422, 400)

    def test_error_and_unknown_items(self, http: httpx.Client) -> None:
        """A failed job has a reason; an unknown id is a 404."""
        item = self.item(http, self.submit(http, "[fault:fail:torn_cloth]")["history_item_id"])
        unknown = http.get("/nextry/user/generation-history/nobody", headers=BEARER)

        assert (item["status"], item["error"]) == ("error", "torn_cloth")
        assert (unknown.status_code, "detail" in unknown.json()) == (404, True)

    def test_the_history_lists_newest_first_in_pages(self, http: httpx.Client) -> None:
        """Pages, a filter by status, feedback, and deleting."""
        ids = [self.submit(http, f"number {n} [fault:never_finishes]")["history_item_id"] for n in range(3)]
        root = "/nextry/user/generation-history"

        page = http.get(root, params={"limit": 2, "status": ["pending", "error"]}, headers=BEARER).json()
        assert ([item["id"] for item in page["items"]], page["total_count"], page["pages"]) == (ids[:0:-1], 3, 2)
        assert http.get(root, params={"limit": 101}, headers=BEARER).status_code == 422

        assert http.patch(f"{root}/feedback/{ids[0]}", json={"like": True}, headers=BEARER).json()["like"] is True
        assert http.delete(f"{root}/{ids[2]}", headers=BEARER).status_code == 204
        page = http.get(root, headers=BEARER).json()
        assert [(item["id"], item["like"]) for item in page["items"]] == [(ids[1], None), (ids[0], True)]

    def test_tools_and_their_types(self, http: httpx.Client) -> None:
        """Every tool has generation types."""
        tools = http.get("/nextry/generation/tools", headers=BEARER).json()
        types = http.get("/nextry/generation/generationTypes", params={"tool": tools[4]["tool"]}, headers=BEARER).json()

        assert tools[4] == {"group_tool": "fashion", "tool": "fashion_swap", "title": "Fashion Swap"}
        assert types[0]["tool"] == "fashion_swap"
