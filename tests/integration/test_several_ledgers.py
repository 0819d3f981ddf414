"""Two ledgers, one command line and one client: each account and its jobs stand in one of them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bide.cli.main import main
from bide.client import AsyncLedgersClient, LedgersClient
from bide.contract import JobState
from bide.errors import ConfigurationError, InvalidRequestError, UnknownJobError
from bide.ledger import AccountName
from bide.ledger.connection import connect
from bide.settings.ledgers import read_ledgers
from tests.contract.ledger_stage import Clock, Stage, request_of
from tests.integration.processes import ROOT, plain_environment
from tests.integration.servers import RedisServer, redis_server
from tests.unit.pages_world import ANNA, World

pytestmark = pytest.mark.integration

#: Lists that have something in both ledgers, and those that are empty.
FILLED = ("jobs", "unconfirmed list", "tenants", "ledger list")
EMPTY = ("callbacks list", "bulk list", "budgets", "spend", "failed list")

DOUBT = '{"code":"submission_unknown","message":"no answer","job_id":""}'

EU, US = AccountName("photogpt", "default"), AccountName("photogpt", "west")


@dataclass
class Two:
    """Two running ledgers, and the variables that name them."""

    eu: RedisServer
    us: RedisServer

    @property
    def environment(self) -> dict[str, str]:
        return {
            "BIDE_LEDGERS__EU__BROKER_URL": self.eu.url,
            "BIDE_LEDGERS__EU__ACCOUNTS": "photogpt/default, fal",
            "BIDE_LEDGERS__US__LEDGER_URL": self.us.url,
            "BIDE_LEDGERS__US__ACCOUNTS": '["photogpt/west", "*"]',
        }


@pytest.fixture(scope="module")
def servers() -> Iterator[Two]:
    """Two servers for all tests, which empty them first."""
    with redis_server(appendonly=False) as eu, redis_server(appendonly=False) as us:
        yield Two(eu, us)


@pytest.fixture
def two(servers: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Two:
    """Each has a job in line for its own account, and an unconfirmed one."""
    monkeypatch.chdir(tmp_path)
    for name in ("BIDE_BROKER_URL", "BIDE_LEDGER_URL", "BIDE_RESULT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in servers.environment.items():
        monkeypatch.setenv(name, value)
    for server, account in ((servers.eu, EU), (servers.us, US)):
        with connect(server.url) as client:
            client.flushall()
            stage = Stage(client, clock := Clock())
            clock.now = time.time() - 60
            name = "eu" if account == EU else "us"
            stage.open(f"{name}-waits", account=account, tenant="acme")
            record, token, _ = stage.submitting(f"{name}-doubt", account=account)
            assert stage.ledger.jobs.conclude(
                record,
                token,
                JobState.UNCONFIRMED,
                error=DOUBT,
            )
    return servers


@pytest.fixture
def without_us(two: Two) -> Iterator[Two]:
    """The ledger `us` is killed."""
    two.us.kill()
    try:
        yield two
    finally:
        two.us.start()


def bide(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, arguments)


def shown(*arguments: str) -> Any:
    """What a command prints as JSON."""
    result = bide(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("command", [*FILLED, *EMPTY])
def test_a_list_has_all_ledgers_and_says_which(command: str) -> None:
    """Each entry has its ledger; `--ledger` shows those of one."""
    whole = _entries(shown(*command.split()))
    part = _entries(shown(*command.split(), "--ledger", "us"))
    assert {each["ledger"] for each in whole} == ({"eu", "us"} if whole else set())
    assert part == [each for each in whole if each["ledger"] == "us"]
    assert bool(whole) == (command in FILLED)
    printed = bide(*command.split()).stdout
    assert not whole or {"eu", "us"} <= {line.split()[0] for line in printed.splitlines() if line}


def _entries(found: Any) -> list[dict[str, Any]]:
    return found if isinstance(found, list) else found.get("jobs", found.get("lines"))


@pytest.mark.usefixtures("two")
def test_a_job_is_found_and_its_ledger_named() -> None:
    """No command about a job needs to be told where it is."""
    assert (shown("status", "us-waits")["ledger"], shown("explain", "eu-waits")["ledger"]) == ("us", "eu")
    assert "ledger         us" in bide("status", "us-waits").stdout
    assert "  ledger     eu" in bide("explain", "eu-waits").stdout
    unknown = bide("status", "nowhere")
    assert (unknown.exit_code, "job 'nowhere' in eu, us" in unknown.stderr) == (1, True)


@pytest.mark.usefixtures("two")
def test_a_change_goes_to_the_ledger_of_its_job_or_account() -> None:
    """Settling, cancels and pauses change one ledger; what names neither job nor account needs `--ledger`."""
    assert shown("unconfirmed", "attach", "us-doubt", "their-id")["state"] == "running"
    assert bide("cancel", "eu-waits").stderr == "ledger eu\n"
    for command in (("unconfirmed", "add"), ("unconfirmed", "give-up"), ("failed", "replay"), ("callbacks", "replay")):
        assert bide(*command, "us-waits").stderr.startswith("ledger us\n")
    assert [each["account"] for each in shown("pause", "photogpt", "west")] == ["west"]
    assert [each["troubles"] != [] for each in shown("ledger", "list")] == [False, True]
    several = bide("resume", "photogpt")
    assert (several.exit_code, "eu, us have accounts of photogpt: say --ledger NAME" in several.stderr) == (2, True)
    needed = bide("callbacks", "replay", "--all")
    assert (needed.exit_code, "say --ledger NAME; there are eu, us" in needed.stderr) == (2, True)
    apart = bide("failed", "replay", "eu-doubt", "us-doubt")
    assert (apart.exit_code, "name those of each apart" in apart.stderr) == (1, True)


def test_a_request_goes_to_the_ledger_of_its_account(two: Two) -> None:
    """By the setting, also for an account that has had no job; a run says its ledger itself."""
    params = ("-p", "modelID=m1", "-p", "prompt=a red fox", "--json")
    for account, name in (("west", "us"), ("default", "eu"), ("brand-new", "us")):
        sent = bide("submit", "photogpt", "images.generation", "--account", account, *params)
        assert sent.exit_code == 0, sent.output
        assert shown("status", json.loads(sent.stdout)["job_id"])["ledger"] == name
    (run := Path("rows.jsonl")).write_text("")
    assert "say --ledger NAME" in bide("bulk", "run", str(run)).stderr
    assert "--broker or --ledger, not both" in bide("jobs", "--broker", two.eu.url, "--ledger", "us").stderr


@pytest.mark.whole
def test_the_doctor_examines_each(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finding has its ledger; what is broken in one is the exit code of all."""
    monkeypatch.chdir(ROOT)
    names = {**two.environment, "BIDE_S3__BUCKET": "bide", "DOTENV": os.devnull}
    command = [sys.executable, "-c", "from bide.cli import main; main()", "doctor", "--json"]
    environment = {**plain_environment(), **names}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"]) == (1, False)  # no worker runs
    answers = {(one["ledger"], one["says"]) for one in found["findings"] if one["check"].startswith("redis")}
    assert answers == {("eu", f"{two.eu.url} answers"), ("us", f"{two.us.url} answers")}


@pytest.mark.usefixtures("without_us")
def test_a_ledger_that_is_away_is_named_and_the_others_are_shown() -> None:
    """The exit code says that not all is shown; a job of the other one is found all the same."""
    result = bide("jobs", "--json")
    assert result.exit_code == 3
    assert {each["ledger"] for each in json.loads(result.stdout)["jobs"]} == {"eu"}
    assert result.stderr.startswith("ledger us: the broker at 127.0.0.1:")
    assert shown("status", "eu-waits")["ledger"] == "eu"
    lost = bide("status", "us-waits")
    assert (lost.exit_code, "ledger us may have it, and is away" in lost.stderr) == (1, True)


def test_a_name_that_there_is_not(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which there are; without any, `--ledger` has no meaning."""
    assert "there is no ledger 'asia'; there are eu, us" in bide("jobs", "--ledger", "asia").stderr
    for name in two.environment:
        monkeypatch.delenv(name)
    assert "no ledger is named; set BIDE_LEDGERS__<NAME>__BROKER_URL" in bide("jobs", "--ledger", "eu").stderr


def test_without_the_setting_nothing_is_different(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """One ledger has no column, no field and no exit code of its own."""
    for name in two.environment:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BIDE_BROKER_URL", two.eu.url)
    assert all("ledger" not in each for each in _entries(shown("jobs")))
    assert "ledger" not in shown("status", "eu-waits")
    assert bide("tenants").stdout.startswith("account ")


def test_the_client_sends_and_finds_by_itself(two: Two) -> None:
    """A request goes to the ledger of its account, a job is found in any."""
    with LedgersClient.from_environment(two.environment) as client:
        eu, us = client.submit_many([request_of(EU), request_of(US)])
        assert [client.ledger_of(job_id) for job_id in (eu, us, "us-waits")] == ["eu", "us", "us"]
        status = client.status("us-waits")
        assert status
        assert status.account == "west"
        assert client.submit(request_of(US, idempotency_key="k")) == client.submit(request_of(US, idempotency_key="k"))
        assert (client.status("nowhere"), client.result("nowhere"), client.result("eu-waits")) == (None, None, None)
        with pytest.raises(UnknownJobError):
            client.wait("nowhere", unknown_seconds=0.1)
        with pytest.raises(TimeoutError):
            client.wait("us-waits", timeout_seconds=0.1)


def test_the_client_for_asyncio_does_the_same(two: Two) -> None:
    """Two hundred waits for jobs of both ledgers go on at once; a job that nobody knows ends its wait."""

    async def all_of_it() -> None:
        async with AsyncLedgersClient.from_environment(two.environment) as client:
            eu, us = await client.submit_many([request_of(EU), request_of(US)])
            assert [await client.ledger_of(job_id) for job_id in (eu, us, "us-waits")] == ["eu", "us", "us"]
            status = await client.status("us-waits")
            assert status
            assert status.account == "west"
            assert [await client.knows(job_id) for job_id in ("nowhere", "eu-waits")] == [False, True]
            assert [await client.result(job_id) for job_id in ("nowhere", "eu-waits")] == [None, None]
            waits = [client.wait(job_id, timeout_seconds=1) for job_id in ("us-waits", "eu-waits") * 100]
            ends = await asyncio.gather(*waits, return_exceptions=True)
            assert {type(end) for end in ends} == {TimeoutError}
            with pytest.raises(UnknownJobError):
                await client.wait("nowhere", unknown_seconds=0.1)
            first = await anext(aiter(client.follow("eu-waits")))
            assert first.job_id == "eu-waits"
            await client.cancel("eu-waits")
            with pytest.raises(UnknownJobError):
                await client.cancel("nowhere")

    asyncio.run(all_of_it())


def test_a_fallback_stays_in_its_ledger(two: Two) -> None:
    """A job can't move to an account of another ledger: refused before anything is written."""
    params = {"modelID": "m1", "prompt": "a red fox"}
    fallback = {"provider": "photogpt", "operation": "images.generation", "params": params, "account": "west"}
    with (
        LedgersClient.from_environment(two.environment) as client,
        pytest.raises(InvalidRequestError, match="fallbacks\\[0\\]: photogpt/west stands in the ledger us"),
    ):
        client.submit(request_of(EU, fallbacks=[fallback]))


def test_the_client_works_on_while_a_ledger_is_away(without_us: Two) -> None:
    """Jobs of the other ledger are submitted and found at once; of the one away it is not known."""
    with LedgersClient.from_environment(without_us.environment) as client:
        begun = time.monotonic()
        assert client.ledger_of(client.submit(request_of(EU))) == "eu"
        assert time.monotonic() - begun < 3


@pytest.fixture
def silent_us(two: Two) -> Iterator[dict[str, str]]:
    """The ledger `us` takes connections and never answers; the variables that name both."""
    with socket.create_server(("127.0.0.1", 0), backlog=500) as server:
        yield {**two.environment, "BIDE_LEDGERS__US__LEDGER_URL": f"redis://127.0.0.1:{server.getsockname()[1]}/0"}


@pytest.mark.whole
def test_a_ledger_that_never_answers_keeps_nobody_from_the_others(silent_us: dict[str, str]) -> None:
    """Its looks take no thread from theirs, and a wait ends when its caller says."""
    with LedgersClient.from_environment(silent_us) as client:
        begun = time.monotonic()
        assert all(client.status("eu-waits") for _ in range(20))
        with pytest.raises(TimeoutError, match="ledger us may have job 'nowhere'"):
            client.wait("nowhere", timeout_seconds=0.5)
        assert time.monotonic() - begun < 5
    with pytest.raises(RuntimeError, match="this client is closed"):
        client.status("eu-waits")


@pytest.mark.whole
def test_nor_the_waits_of_asyncio(silent_us: dict[str, str]) -> None:
    """A hundred waits end when their callers say, and so does one for a job that nobody has."""

    async def waits() -> float:
        async with AsyncLedgersClient.from_environment(silent_us) as client:
            begun = time.monotonic()
            jobs = ["eu-waits"] * 100 + ["nowhere"]
            ends = await asyncio.gather(*(client.wait(job, timeout_seconds=1) for job in jobs), return_exceptions=True)
            assert {type(end) for end in ends} == {TimeoutError}
            return time.monotonic() - begun

    assert asyncio.run(waits()) < 5


def test_one_page_shows_all(two: Two) -> None:
    """Each ledger with its numbers."""
    ledgers = read_ledgers(two.environment)
    words = World(ANNA, ledgers=ledgers).ask("/ledgers").words
    for name in ("eu", "us"):
        assert f"{name} well accounts 1 in line 1 at the provider 0 unconfirmed 1 processes 0" in words


def test_what_is_wrong_with_the_names_is_said_together() -> None:
    """An account in two ledgers, one server twice, a misspelt variable; no password is printed."""
    url = "redis://:hunter2@127.0.0.1:7/0"
    both = {"BROKER_URL": url, "ACCOUNTS": "bfl"}
    environment = {f"BIDE_LEDGERS__{name}__{field}": value for name in "AB" for field, value in both.items()}
    with pytest.raises(ConfigurationError) as found:
        LedgersClient.from_environment(environment)
    assert "BIDE_LEDGERS__B__ACCOUNTS: has bfl, as a has" in str(found.value)
    assert "BIDE_LEDGERS__B__BROKER_URL: leads to the broker of a" in str(found.value)
    assert "hunter2" not in str(found.value)
    with pytest.raises(ConfigurationError, match="BIDE_LEDGERS__A__BROKR_URL: there is no such variable"):
        LedgersClient.from_environment({"BIDE_LEDGERS__A__BROKR_URL": url})
    with pytest.raises(ConfigurationError, match="no ledger is named"):
        LedgersClient.from_environment({})
