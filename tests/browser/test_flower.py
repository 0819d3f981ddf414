"""Flower as an operator sees it: a real browser before a real deployment, and what is drawn in it."""

from __future__ import annotations

import pytest

from bide.ledger import AccountName, Ledger
from tests.browser.chromium import browser
from tests.browser.operator import PARTS, Operator
from tests.browser.stage import SECRETS, FlowerRig
from tests.integration.caller import PIXEL, Caller, failure, image, marker, succeeded
from tests.integration.rig import FLOWER_PASSWORD, FLOWER_USER
from tests.integration.waiting import eventually

#: Where each column of the tasks ends [pixels].
_ENDS = """(() => {
    const names = [...document.querySelectorAll('#tasks-table thead th')].map(it => it.dataset.column);
    const cells = [...document.querySelector('#tasks-table tbody tr').cells];
    return Object.fromEntries(cells.map((cell, at) => [names[at], cell.getBoundingClientRect().right]));
})()"""

pytestmark = [pytest.mark.browser, pytest.mark.integration]


def test_nobody_gets_in_without_the_password(rig: FlowerRig) -> None:
    """A browser that gives none, or a wrong one, is shown nothing; the right one opens all pages."""
    with browser() as fresh:
        stranger = Operator(fresh, rig.address)
        for page in ("/", "/tasks", "/broker"):
            fresh.open(f"{rig.address}{page}")
            assert fresh.status == 401
            assert "bide" not in stranger.source()
        assert stranger.log_in(password="wrong") == 401
        assert stranger.log_in() == 200
        stranger.look("/tasks")


def test_dashboard_shows_who_works(operator: Operator) -> None:
    """Both processes, by their roles, online; and nothing complains."""
    operator.look("/")

    def online() -> set[str]:
        rows = operator.rows("#workers-table")
        return {row["Worker"].partition("-")[0] for row in rows if row["Status"] == "Online"}

    eventually(lambda: online() == {"worker", "poller"}, what="both are online")
    assert len(operator.rows("#workers-table")) == 2
    assert operator.tab.evaluate("document.querySelector('#workers-online').innerText") == "2"
    assert operator.tab.trouble == []


def test_one_row_for_each_job(operator: Operator, caller: Caller) -> None:
    """What a job is and what came of it can be read in its row, whatever became of it; polls have none."""
    word = marker()
    done = caller.submit(image(f"{word} <b>fox</b>"))
    dressed = image(f"{word} dress", provider="nextry", operation="generate_image", account="main")
    dressed |= {"params": {"tool": "fashion_swap", "prompt": f"{word} dress"}}
    dressed |= {"inputs": {"clothes": PIXEL, "person": f"data:image/png;base64,{PIXEL}"}}
    worn = caller.submit(dressed)
    refused = caller.submit(image(word, params={"modelID": ""}))
    waiting = caller.submit(image(f"{word} [fault:never_finishes]"))
    files = {job.id: [output["uri"] for output in succeeded(job)["outputs"]] for job in (done, worn)}
    failure(refused)

    rows = _rows_of(operator, {done.id: "SUCCESS", worn.id: "SUCCESS", refused.id: "FAILURE", waiting.id: "RETRY"})

    assert rows[done.id]["kwargs"] == f"photogpt images.generation: {word} <b>fox</b>"
    assert rows[worn.id]["kwargs"] == f"nextry generate_image: {word} dress"
    assert rows[done.id]["result"] == "".join([*files[done.id], "job's page"])
    assert rows[worn.id]["result"] == "".join([*files[worn.id], "job's page"])
    assert rows[refused.id]["result"].startswith("invalid_request: params.modelID: ")
    assert rows[waiting.id]["result"].startswith("waits at the provider: ")
    everything = operator.text() + operator.source()
    assert "bide.poll" not in everything
    assert PIXEL[:40] not in everything


def test_what_matters_is_seen_without_scrolling(operator: Operator, caller: Caller) -> None:
    """On a small screen: id, state, how long it took, what it is, and the beginning of what came of it."""
    succeeded(caller.submit(image("a red fox in the snow, soft morning light, 35 mm, shallow depth of field")))
    eventually(operator.tasks, what="a row is there")

    ends = operator.tab.evaluate(_ENDS)

    assert max(ends[name] for name in ("uuid", "state", "runtime", "kwargs")) <= 1440 - 300


def test_a_page_for_each_task(operator: Operator, caller: Caller) -> None:
    """It says where the files are and how long the job took, not its last step; one that failed says why."""
    done, refused = caller.submit(image("a lighthouse")), caller.submit(image(params={"modelID": ""}))
    result, failed = succeeded(done), failure(refused)

    page = operator.sees_task(done.id, {"Status": "SUCCESS", "Result": result["outputs"][0]["uri"]})

    assert page["Keyword arguments"] == "photogpt images.generation: a lighthouse"
    assert float(page["Runtime"].removesuffix(" s")) > 0.5
    assert {"Traceback", "Exception", "Retries"} & page.keys() == set()
    page = operator.sees_task(refused.id, {"Status": "FAILURE"})
    assert page["Result"] == f"{failed['code']}: {failed['message']}"
    assert "Traceback" not in page


def test_a_row_leads_to_its_task(operator: Operator, caller: Caller) -> None:
    """By a click on its id."""
    job = caller.submit(image("a bridge"))
    succeeded(job)
    _rows_of(operator, {job.id: "SUCCESS"})

    operator.tab.click(f"#tasks-table a[href='/task/{job.id}']")

    eventually(lambda: operator.tab.evaluate("location.pathname") == f"/task/{job.id}", what="its page opens")
    eventually(lambda: "a bridge" in operator.text(), what="its page is drawn")


def test_a_job_is_canceled_by_the_button(operator: Operator, caller: Caller, rig: FlowerRig) -> None:
    """Revoke on a task's page: bide's record says canceled, the caller hears it, the provider is asked no more."""
    job = caller.submit(image("[fault:never_finishes] a harbour"))
    eventually(lambda: _polls(rig, job.id) >= 1, what="the provider is asked about it")
    operator.sees_task(job.id, {"Status": "RETRY"})
    operator.tab.agrees = False
    operator.tab.click("#task-revoke")
    eventually(lambda: operator.tab.evaluate("1") and operator.tab.questions, what="it asks first")
    assert rig.state(job.id) == "running"
    operator.tab.agrees = True

    operator.tab.click("#task-revoke")

    eventually(lambda: operator.tab.evaluate("1") and len(operator.tab.questions) == 2, what="it asks again")
    assert f"Job {job.id} is paid for (bought, as " in operator.tab.questions[-1]
    assert failure(job)["code"] == "canceled"
    assert rig.state(job.id) == "canceled"
    eventually(lambda: "Revoked" in operator.text(), what="Flower says so")
    page = operator.sees_task(job.id, {"Status": "FAILURE"})
    assert page["Result"].startswith("canceled: ")
    asked = _polls(rig, job.id)
    other = caller.submit(image("[fault:never_finishes] another harbour"))
    eventually(lambda: _polls(rig, other.id) >= 3, what="a job of the same account is asked about again and again")
    assert _polls(rig, job.id) == asked


def test_a_job_in_line_is_revoked_without_a_question(operator: Operator, caller: Caller, rig: FlowerRig) -> None:
    """Nothing is bought yet."""
    first = caller.submit(image("[fault:never_finishes] a queue", account="single"))
    eventually(lambda: rig.state(first.id, account="single") == "running", what="the only place is taken")
    job = caller.submit(image("a place in the queue", account="single"))
    page = operator.sees_task(job.id, {"Status": "RETRY", "State": "queued"})
    assert "all 1 places of its account are taken" in page["Why"]

    operator.tab.click("#task-revoke")

    assert failure(job)["code"] == "canceled"
    assert operator.tab.questions == []
    caller.app.control.revoke(first.id)
    failure(first)


def test_a_page_says_what_the_ledger_knows(operator: Operator, caller: Caller, rig: FlowerRig) -> None:
    """Account, metadata, the provider's id, polls, and what to do; the doubtful one says so first, and is found."""
    rig.sandbox.order([{"fault": "accept_then_drop", "match": "doubtful tea house", "times": 1}])
    doubtful = caller.submit(image("a doubtful tea house", metadata={"order": "A-7"}))
    waiting = caller.submit(image("[fault:never_finishes] a tower", metadata={"order": "A-8"}))
    assert failure(doubtful)["code"] == "submission_unknown"
    eventually(lambda: _polls(rig, waiting.id) >= 1, what="the provider is asked about it")

    page = operator.sees_task(doubtful.id, {"Status": "FAILURE", "Metadata": "order: A-7"})
    assert page["Careful"] == "may be paid for: do not send again"
    assert page["Result"].startswith("submission_unknown: may be paid for: do not send again. ")
    assert page["What to do"].startswith("settle it: ")
    page = operator.sees_task(waiting.id, {"Status": "RETRY", "Metadata": "order: A-8"})
    assert (page["Account"], page["State"]) == ("photogpt/default", "running")
    assert page["Provider's id"] in page["Money"]
    assert int(page["Polls"]) >= 1
    assert page["Why"].startswith("the provider is at work on it")
    operator.tasks()
    assert operator.search("submission_unknown").startswith("Showing 1 to 1 of 1 tasks")
    operator.search("")  # the browser keeps it for the next visit


def test_an_object_is_a_click_away(operator: Operator, caller: Caller, rig: FlowerRig) -> None:
    """The row links to the job's page, and through it to an address of the object that is signed at the click."""
    rig.pages.start()
    job = caller.submit(image("a signed fox"))
    [output] = succeeded(job)["outputs"]
    _rows_of(operator, {job.id: "SUCCESS"})
    own = f"#tasks-table tr[id='{job.id}'] a"
    links = operator.tab.evaluate(f'[...document.querySelectorAll("{own}")].map(it => it.href)')
    assert f"{rig.pages_address}/jobs/{job.id}" in links
    [address] = [link for link in links if link.startswith(f"{rig.pages_address}/objects/")]

    operator.tab.open(address.replace("//", f"//{FLOWER_USER}:{FLOWER_PASSWORD}@", 1))

    assert "X-Amz-Signature=" in operator.tab.evaluate("location.href")
    assert operator.tab.evaluate("document.images[0].naturalWidth") == output["width"]


def test_a_cancel_task_says_whose(operator: Operator, caller: Caller) -> None:
    """A cancel by a client is a row of its own, and says what it is about."""
    job = caller.submit(image("[fault:never_finishes] a garden"))
    sent = caller.app.send_task("bide.cancel", args=[job.id], queue="bide.control")
    failure(job)

    assert _rows_of(operator, {sent.id: "SUCCESS"})[sent.id]["kwargs"] == f"cancel {job.id}"


def test_pages_of_workers(operator: Operator) -> None:
    """What each serves, by its tabs; a poller serves polls alone. No page shows a secret, hidden or seen."""
    served = {}
    for link in operator.workers():
        operator.look(link)
        for name in PARTS:
            operator.turn_to(name)
        role = link.rpartition("/")[2].partition("-")[0]
        served[role] = {word for word in operator.text().split() if word.startswith("bide.")}
        assert _secrets_in(operator.source()) == []

    assert served == {"worker": {"bide.submit", "bide.store", "bide.control"}, "poller": {"bide.poll"}}


def test_page_of_queues(operator: Operator) -> None:
    """The broker's queues, with what waits in them."""
    operator.look("/broker")

    assert [row["Queue"] for row in operator.rows("#queue-table")] == [
        "bide.control",
        "bide.poll",
        "bide.store",
        "bide.submit",
    ]


def test_no_page_shows_a_secret(operator: Operator, caller: Caller) -> None:
    """Neither seen nor hidden: passwords and keys of Redis, the store, the providers, callbacks and Flower itself."""
    jobs = [caller.submit(image("a secret garden")), caller.submit(image(account="refused"))]
    succeeded(jobs[0])
    operator.sees_task(jobs[0].id, {"Status": "SUCCESS"})

    for page in ("/", "/workers", "/tasks", "/broker", *(f"/task/{job.id}" for job in jobs), "/api/tasks"):
        operator.look(page)
        assert _secrets_in(operator.source()) == [], page


def _rows_of(operator: Operator, states: dict[str, str]) -> dict[str, dict[str, str]]:
    """The rows of these tasks, once each is there exactly once and in its state."""

    def drawn() -> dict[str, dict[str, str]] | None:
        rows = [row for row in operator.tasks() if row["uuid"] in states]
        found = {row["uuid"]: row for row in rows}
        assert len(found) == len(rows), "a job has two rows"
        return found if {name: row["state"] for name, row in found.items()} == states else None

    return eventually(drawn, what=f"the list says {states}")


def _polls(rig: FlowerRig, job_id: str) -> int:
    with rig.server() as server:
        record = Ledger(server).jobs.read(AccountName("photogpt", "default"), job_id)
    return int(record.fields.get("polls") or 0) if record else 0


def _secrets_in(page: str) -> list[str]:
    return [secret for secret in SECRETS if secret in page]
