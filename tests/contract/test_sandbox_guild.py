"""The sandbox's imaginary guild: each promise about submits that come twice, and each lie about one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sandbox.running import Sandbox
from tests.contract.sandbox_http import BEARER, SandboxTests, picture, until

ROOT = "/guild/v1"


class TestGuild(SandboxTests):
    """Submits, look-ups, and the list."""

    def submit(self, http: httpx.Client, operation: str, motif: str = "fox", key: str = "k1") -> httpx.Response:
        """One submit under a key."""
        return http.post(f"{ROOT}/{operation}", json={"motif": motif}, headers={**BEARER, "Key": key})

    def known(self, http: httpx.Client, key: str = "k1") -> list[str]:
        """The ids that a look-up gives."""
        found: list[str] = http.get(f"{ROOT}/history/{key}", headers=BEARER).json()["ids"]
        return found

    def test_a_work_is_made_and_fetched(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """It is polled by its id, and its picture is open."""
        made = self.submit(http, "none").json()["id"]
        work = until(lambda: http.get(f"{ROOT}/works/{made}", headers=BEARER), lambda body: bool(body["pictures"]))
        assert work["state"] == "done"
        assert picture(http.get(work["pictures"][0]).content) == ("PNG", (64, 64))
        assert http.get(f"{ROOT}/works/nothing", headers=BEARER).status_code == 404

    @pytest.mark.parametrize(
        ("operation", "purchases"), [("none", 2), ("replay", 1), ("reject", 1), ("client_id", 2), ("free", 2)]
    )
    def test_a_submit_that_comes_twice(
        self, sandbox: Sandbox, http: httpx.Client, operation: str, purchases: int
    ) -> None:
        """As the operation promises."""
        first, second = self.submit(http, operation), self.submit(http, operation)
        assert len(sandbox.purchases("guild")) == purchases
        if operation == "replay":
            assert first.json() == second.json()
            marks = [one.headers["Idempotent-Replayed"] for one in (first, second)]
            assert marks == ["false", "true"]
        if operation == "reject":
            assert second.status_code == 409
        assert len(self.known(http)) == purchases

    def test_a_key_that_is_forgotten_buys_anew(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """And is called new; the orders of a motif are for the first work alone."""
        motif = "fox [fault:forgets_key] [fault:accept_then_504]"
        first, second = (self.submit(http, "replay", motif) for _ in range(2))
        assert (first.status_code, second.status_code) == (504, 200)
        assert second.headers["Idempotent-Replayed"] == "false"
        assert [one["reference"] for one in sandbox.purchases("guild")] == ["fox", "fox"]

    def test_an_answer_that_is_lost_once_comes_the_next_time(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """Also of a free submit, which has no key."""
        motif = "fox [fault:accept_then_garbage times=1]"
        answers = [self.submit(http, "free", motif, key="") for _ in range(3)]
        assert [b'"id"' in answer.content for answer in answers] == [False, True, True]

    @pytest.mark.parametrize("operation", ["reject", "client_id"])
    def test_a_hidden_work_shows_once_there_are_two(self, sandbox: Sandbox, http: httpx.Client, operation: str) -> None:
        """Its key is taken twice."""
        motif = "fox [fault:hides_work]"
        self.submit(http, operation, motif)
        assert self.known(http) == []
        assert self.submit(http, operation, motif).status_code == 200
        assert len(self.known(http)) == 2

    def test_the_list_has_the_latest_first_and_pages(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """With operation, motif and moment."""
        for number in range(101):
            self.submit(http, "none", f"fox-{number}", key="")
        first = http.get(f"{ROOT}/works", headers=BEARER).json()
        second = http.get(f"{ROOT}/works", params={"page": first["next"]}, headers=BEARER).json()
        assert (len(first["works"]), first["next"], second["next"]) == (100, "1", "")
        assert first["works"][0]["motif"] == "fox-100"
        [last] = second["works"]
        assert (last["motif"], last["operation"]) == ("fox-0", "none")

    @pytest.mark.parametrize("body", [{}, {"motif": " "}, {"motif": 7}, []])
    def test_a_motif_is_required(self, sandbox: Sandbox, http: httpx.Client, body: Any) -> None:
        """Nothing is bought without one, nor without a key of the account."""
        assert http.post(f"{ROOT}/none", json=body, headers=BEARER).status_code == 422
        assert http.post(f"{ROOT}/none", json={"motif": "fox"}).status_code == 401
        assert sandbox.purchases() == []
