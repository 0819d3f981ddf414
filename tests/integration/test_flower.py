"""Flower over a running deployment: what its API shows, to whom, and what it can do."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.integration.caller import PIXEL, Caller, failure, image, marker, succeeded
from tests.integration.rig import FLOWER_PASSWORD, FLOWER_USER, KEYS, Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]


class Api:
    """Flower's HTTP API, as an operator."""

    def __init__(self, address: str, *, password: str = FLOWER_PASSWORD) -> None:
        self.address = address
        self._credentials = base64.b64encode(f"{FLOWER_USER}:{password}".encode()).decode()

    def text(self, path: str, body: Any = None, **headers: str) -> str:
        """GET, or POST where there is a body; raises `HTTPError`."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}{path}", data=data, headers=headers)
        request.add_header("Authorization", f"Basic {self._credentials}")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(answer.read().decode())

    def rows(self) -> dict[str, dict[str, Any]]:
        """All tasks that it knows, by id."""
        rows: dict[str, dict[str, Any]] = json.loads(self.text("/api/tasks?limit=10000"))
        return rows


@pytest.fixture(scope="module")
def api(deployment: Rig) -> Api:
    """A Flower that receives the workers' events."""
    api = Api(deployment.flower_address)
    eventually(lambda: len(json.loads(api.text("/api/workers?status=true"))) >= 2, what="Flower sees both workers")
    return api


def test_one_row_for_each_job(api: Api, caller: Caller) -> None:
    """A job is one row, readable, with neither pictures nor keys in it; polling rounds have none."""
    marked = marker()
    pictures = {"clothes": PIXEL, "person": f"data:image/png;base64,{PIXEL}"}
    dressed = image(f"{marked} dress", provider="nextry", operation="generate_image", account="main", inputs=pictures)
    dressed["params"] = {"tool": "fashion_swap", "prompt": f"{marked} dress"}
    results = [caller.submit(image(f"{marked} fox")), caller.submit(dressed)]
    results.append(caller.app.send_task("bide.generate", args=[dressed], queue="bide.submit"))
    for result in results:
        succeeded(result)

    def ended() -> bool:
        return all(api.rows().get(result.id, {}).get("state") == "SUCCESS" for result in results)

    eventually(ended, what="Flower has all last events")

    rows, texts = api.rows(), api.text("/api/tasks?limit=10000")
    assert {row["uuid"] for row in rows.values() if marked in str(row["kwargs"])} == {result.id for result in results}
    named = {row["name"] for row in rows.values()} - {None}  # of a job that began before Flower came it knows no name
    assert named <= {"bide.generate", "bide.cancel"}
    described = [rows[result.id]["kwargs"] for result in results]
    assert described[0] == f"photogpt images.generation: {marked} fox"
    assert described[1] == described[2] == f"nextry generate_image: {marked} dress"
    texts += "".join(api.text(f"/api/task/info/{result.id}") for result in results)
    for secret in (PIXEL[:40], *(key for name, key in KEYS.items() if name.endswith("API_KEY"))):
        assert secret not in texts


def test_every_queue_of_bide_has_a_length(api: Api) -> None:
    """For programs, as on the page of queues."""
    lengths = json.loads(api.text("/api/queues/length"))["active_queues"]
    assert {each["name"] for each in lengths} >= {"bide.submit", "bide.poll", "bide.store", "bide.control"}
    assert all(each["messages"] >= 0 for each in lengths)


@pytest.mark.parametrize("path", ["/api/tasks", "/api/workers", "/tasks", "/"])
def test_a_wrong_password_opens_no_page(path: str, api: Api) -> None:
    """Neither the pages nor the API open with a wrong password."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        Api(api.address, password="wrong").text(path)

    with refused.value:
        assert refused.value.code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://elsewhere.example"},
    ],
    ids=["origin", "sandboxed page", "cross-site", "sibling"],
)
@pytest.mark.parametrize(
    "path",
    [
        "/api/task/send-task/bide.generate",
        "/api/task/async-apply/bide.generate",
        "/api/task/revoke/a",
        "/api/worker/shutdown/a",
    ],
)
def test_another_site_s_page_can_send_nothing(path: str, headers: dict[str, str], api: Api, rig: Rig) -> None:
    """A browser adds the operator's password to what any page posts: Flower refuses it by where it comes from."""
    prompt = marker()
    with pytest.raises(urllib.error.HTTPError) as refused:
        api.text(f"/api/{path}", {"kwargs": {"request": image(prompt)}}, **headers)
    with refused.value:
        assert refused.value.code == 403
    assert rig.purchases(prompt) == []


def test_revoking_in_flower_cancels(api: Api, caller: Caller, rig: Rig) -> None:
    """The button of Flower ends the job as canceled, and no poll is made for it any more."""
    result = caller.submit(image("[fault:never_finishes]"))
    eventually(lambda: rig.state(result.id) == "running", what="the job runs")

    api.text(f"/api/task/revoke/{result.id}", body={})

    assert failure(result)["code"] == "canceled"


@pytest.mark.parametrize("how", ["async-apply", "send-task"])
def test_a_job_from_flowers_api(how: str, api: Api, caller: Caller, rig: Rig) -> None:
    """Flower's HTTP API is a way to submit for a client that has nothing but HTTP."""
    marked = marker()

    reply = json.loads(api.text(f"/api/task/{how}/bide.generate", body={"kwargs": {"request": image(marked)}}))

    assert succeeded(caller.result_of(reply["task-id"]))["state"] == "succeeded"
    assert len(rig.purchases(marked)) == 1
