"""A job is polled where it was bought, with the handle that its submit's answer gave; and the key goes nowhere else."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from bide.contract import FailureCode
from bide.errors import ForeignAddressError, SubmissionUnknownError
from bide.ledger.keys import prefix
from bide.providers.base import MAX_HANDLE_BYTES, Account, Answer, Call, Finished, Submission, Submitted
from tasks.steps.home import _made
from tasks.steps.outcome import Fail
from tests.unit.atelier import ACCEPTED, ACCOUNT, BASE, KEY, RESULT, STATUS, Atelier, AtelierAdapter, atelier
from workers.io.destination import confined

__all__ = ["atelier"]

ROOT = Path(__file__).parents[2]

ADAPTER = AtelierAdapter()


def confine(url: str, base_url: str = BASE) -> Call:
    """A call with the key to an address."""
    account = Account(base_url, KEY)
    return confined(Call("GET", url, headers=account.bearer), ADAPTER, account)


@pytest.mark.parametrize(
    "url",
    [
        f"{BASE}/works/7",
        "https://api.atelier.example/elsewhere",
        "https://API.atelier.example:443/v1?x=1",
        "https://api.atelier.example./v1",
        STATUS,
        "https://a.studio.example/x",
        "https://a.b.studio.example/x",
        "https://10.0.0.7:8443/x",
    ],
)
def test_the_key_goes_to_the_base_host_and_to_declared_hosts(url: str) -> None:
    """In any spelling of them."""
    assert confine(url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1/works/7",
        "https://api.atelier.example.evil.example/v1",
        "https://api.atelier.example@evil.example/v1",
        "https://user:pass@api.atelier.example/v1",
        "https://evil.example/https://api.atelier.example/v1",
        "https://evil.example\\@api.atelier.example/v1",
        "https://evil.example#@api.atelier.example/v1",
        "//evil.example/v1",
        "https://api.atelier.example:8443/v1",
        "http://api.atelier.example/v1",
        "http://jobs.atelier.example/7",
        "https://jobs.atelier.example:8443/7",
        "https://xjobs.atelier.example/7",
        "https://studio.example/x",
        "https://evilstudio.example/x",
        "https://10.0.0.7/x",
        "https://169.254.169.254/latest",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "/v1/works/7",
        "",
    ],
)
def test_the_key_goes_nowhere_else(url: str) -> None:
    """The refusal names a host at most: the rest of an address may be secret."""
    with pytest.raises(ForeignAddressError) as raised:
        confine(url)
    assert "atelier" in str(raised.value)
    assert "pass" not in str(raised.value).replace("passwd", "")


def test_a_local_base_may_be_without_tls() -> None:
    """Where the base URL is, what it leads to may be, too; another port is another server."""
    assert confine("http://127.0.0.1:8001/other", "http://127.0.0.1:8001/api").method == "GET"
    with pytest.raises(ForeignAddressError):
        confine("http://127.0.0.1:8002/other", "http://127.0.0.1:8001/api")


def test_no_call_with_a_key_is_sent_unchecked() -> None:
    """Each place that has the HTTP client make an API call confines the call first; a purchase gets it confined."""
    found, purchase, step = 0, ROOT / "tasks" / "steps" / "purchase.py", ROOT / "tasks" / "steps" / "submit.py"
    for path in [*(ROOT / "tasks").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]:
        text = path.read_text()
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        made = [call for call in calls if ast.unparse(call.func).endswith("http.call")]
        found += len(made)
        assert not made or "confined(" in (step.read_text() if path == purchase else text), path
    assert found >= 5


def test_a_handle_is_kept_and_given_back(atelier: Atelier) -> None:
    """The status address of the answer is polled; nothing is built by hand."""
    atelier.reply("POST", f"{BASE}/works", ACCEPTED)
    atelier.submit()
    record = atelier.record()
    assert (record.text("base_url"), record.text("adapter")) == (BASE, "atelier 3")
    assert record.ticket.handle == {"status_url": STATUS, "cancel_url": ACCEPTED["cancel_url"]}
    assert record.ticket.version == "3"
    assert "https" not in repr(record.ticket)

    atelier.reply("GET", STATUS, {"state": "painting"})
    atelier.reply("GET", STATUS, {"state": "done", "pictures": ["https://cdn.example/7.png"]})
    atelier.poll()
    assert atelier.record().text("note") == "painting"
    atelier.poll()
    assert atelier.record().text("state") == "storing"
    assert [url for _, url in atelier.calls] == [f"{BASE}/works", STATUS, STATUS]


def test_a_handle_serves_the_step_that_stores_too(atelier: Atelier) -> None:
    """Where a finished answer's pictures have to be asked for again, its status address is called."""
    inline = "data:image/png;base64,aGVsbG8="
    atelier.reply("POST", f"{BASE}/works", {**ACCEPTED, "pictures": [inline]})
    atelier.submit()
    assert (atelier.record().text("state"), atelier.record().text("outputs")) == ("storing", "")
    atelier.reply("GET", STATUS, {"state": "done", "pictures": [inline]})
    tools: Any = atelier
    assert [media.content for media in _made(tools, atelier.record()).outputs] == [b"hello"]
    atelier.server.hset(f"{prefix(ACCOUNT)}job:a", "handle", '{"status_url": "https://evil.example/7"}')
    with pytest.raises(ForeignAddressError):
        _made(tools, atelier.record())
    assert atelier.calls[-1] == ("GET", STATUS)


def test_an_address_of_a_stranger_is_never_called(atelier: Atelier) -> None:
    """The job ends as a protocol error that names host and id; nothing was sent."""
    atelier.reply("POST", f"{BASE}/works", {**ACCEPTED, "status_url": "https://evil.example/7?token=SECRET"})
    atelier.submit()
    atelier.poll()
    failure = atelier.record().failure
    assert (failure.code, failure.provider_job_id, failure.retryable) == (FailureCode.PROTOCOL, "7", False)
    assert "evil.example:443" in failure.message
    assert "SECRET" not in failure.message
    assert atelier.calls == [("POST", f"{BASE}/works")]


def test_a_submit_of_an_adapter_that_goes_elsewhere_buys_nothing(atelier: Atelier) -> None:
    """No intent is written, and nothing sent."""

    class Strayed(AtelierAdapter):
        def submit_call(self, submission: Submission, account: Account) -> Call:
            return Call("POST", RESULT.replace("jobs.", ""), headers=account.bearer)

    atelier.accounts.get(ACCOUNT).__dict__["adapter"] = Strayed()
    outcome = atelier.submit()
    assert isinstance(outcome, Fail)
    assert (outcome.failure.code, atelier.calls, atelier.record().text("submits")) == (FailureCode.PROTOCOL, [], "")


def test_a_changed_base_url_moves_no_job_that_is_under_way(atelier: Atelier) -> None:
    """Each of two jobs is polled where it was bought; a record that does not say goes by the settings."""
    other = "https://eu.atelier.example/v1"
    for job_id, base in (("a", BASE), ("b", other), ("c", other)):
        atelier.configure(BASE_URL=base)
        atelier.reply("POST", f"{base}/works", {"id": job_id})
        atelier.submit(job_id)
    atelier.server.hdel(f"{prefix(ACCOUNT)}job:c", "base_url", "adapter")
    third = "https://asia.atelier.example/v1"
    atelier.configure(BASE_URL=third + "/")
    polled = [f"{BASE}/works/a", f"{other}/works/b", f"{third}/works/c"]
    for url in polled:
        atelier.reply("GET", url, {"state": "painting"})
    atelier.poll()
    assert sorted(url for method, url in atelier.calls if method == "GET") == sorted(polled)


@pytest.mark.parametrize("handle", ["x" * MAX_HANDLE_BYTES, float("nan"), {1, 2}], ids=["large", "nan", "set"])
@pytest.mark.parametrize("made", [Submitted, Finished])
def test_a_handle_that_can_not_be_kept_leaves_the_submit_unconfirmed(handle: object, made: type) -> None:
    """It was accepted: the id stands in the message, for the operator who attaches it."""

    class Odd(AtelierAdapter):
        def read_submit(self, answer: Answer, submission: Submission, account: Account) -> Any:
            return Submitted("7", handle=handle) if made is Submitted else Finished("7", (), handle=handle)

    submission = Submission("a", "paint", {"motif": "x"})
    with pytest.raises(SubmissionUnknownError, match="accepted it as 7; its handle"):
        Odd().submit_outcome(Answer(200), submission, Account(BASE, KEY))


def test_a_handle_of_just_the_limit_is_kept(atelier: Atelier) -> None:
    """16 kB of JSON, quotes counted."""
    atelier.reply("POST", f"{BASE}/works", {"id": "7", "handle": "x" * (MAX_HANDLE_BYTES - 2)})
    atelier.submit()
    assert len(atelier.record().ticket.handle) == MAX_HANDLE_BYTES - 2
