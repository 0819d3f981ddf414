"""Tenants, from the request to what people and metrics see of them; the turns are in the ledger's contract."""

from __future__ import annotations

import io
import json

import pytest
from multidict import MultiDict

from bide.bulk.intake import take_in
from bide.bulk.reading import read_jsonl
from bide.client.requests import checked
from bide.contract import GenerateRequest
from bide.errors import InvalidRequestError
from bide.ledger import AccountName, Limits
from bide.ledger.tenants import TenantCaps, caps_text, read_caps
from bide.settings.problems import ConfigurationProblems
from config.schedules import RunOptions
from config.settings import load
from tests.contract.ledger_stage import ACCOUNT, Stage, request_of
from tests.unit.command import Command
from tests.unit.metrics_world import shown
from workers.accounts import Accounts
from workers.pages import filters

KEY = "BIDE_PROVIDERS__PHOTOGPT__TENANTS"
BASE = {"BIDE_S3__BUCKET": "results", "BIDE_PROVIDERS__PHOTOGPT__API_KEY": "key"}


def caps_in_force(text: str, **more: str) -> dict[str, TenantCaps]:
    """The caps that workers with this setting bring to the ledger."""
    name = AccountName("photogpt", "default")
    return read_caps(Accounts(load({**BASE, **more, KEY: text}, env_file=None)).limits(name).tenant_caps)


@pytest.fixture
def stage() -> Stage:
    """A ledger in memory with jobs of two tenants and of none, one of each at the provider."""
    stage = Stage.in_memory()
    stage.limits[ACCOUNT] = Limits(max_in_flight=2, tenant_caps=caps_text({"acme": TenantCaps(max_in_flight=1)}))
    stage.ledger.accounts.sweep(ACCOUNT)
    stage.running("a1", tenant="acme")
    stage.finished("b0", tenant="bolt")
    for name, tenant in (("a2", "acme"), ("a3", "acme"), ("b1", "bolt"), ("n1", None)):
        stage.open(name, tenant=tenant)
    return stage


# The request


def test_a_request_without_a_tenant_is_as_before() -> None:
    """Neither its JSON nor its fingerprint changes: earlier releases read it, and old idempotency keys hold."""
    request = request_of()
    assert "tenant" not in json.loads(request.to_json())
    assert "tenant" not in request.model_dump(mode="json")
    assert request.fingerprint() == request_of(tenant=None).fingerprint() == "c63c25e368b4f2e7029c7d3e019fa215"
    assert request.fingerprint() != request_of(tenant="acme").fingerprint()


@pytest.mark.parametrize("name", ["Acme", "acme gmbh", "", "-acme", 5, "a/b", "ä"])
def test_a_tenant_of_the_wrong_form_is_refused(name: object) -> None:
    """The error names the field, and what is right; it repeats no value."""
    with pytest.raises(InvalidRequestError, match=r"^tenant: ") as caught:
        GenerateRequest.parse({**json.loads(request_of().to_json()), "tenant": name})
    assert not (isinstance(name, str) and name and name in str(caught.value))
    if isinstance(name, str):
        assert str(caught.value).startswith("tenant: must be small letters, digits, '_', '.' and '-'")


def test_the_client_takes_it_as_an_option() -> None:
    """It wins over that of the request itself."""
    request, _ = checked(request_of(tenant="bolt"), {"tenant": "acme"}, None)
    assert request.tenant == "acme"


def test_rows_of_a_run_have_their_own_tenant_or_the_runs() -> None:
    """The rows that are stored say it, so that a replay has it, too."""
    row = json.loads(request_of().to_json())
    lines = "\n".join(
        json.dumps(each) for each in (row, {**row, "tenant": "bolt", "params": {"modelID": "m1", "prompt": "b"}})
    )
    intake = take_in(read_jsonl(io.BytesIO(lines.encode())), tenant="acme")
    intake.check()
    intake.rows_file.seek(0)
    assert [json.loads(line)["tenant"] for line in intake.rows_file] == ["acme", "bolt"]
    intake.close()


def test_a_schedule_says_it_for_its_runs() -> None:
    """Among the options of the run; a name of the wrong form is a mistake in the file."""
    assert RunOptions.model_validate({"tenant": "acme"}).as_json() == {"tenant": "acme"}
    with pytest.raises(ValueError, match="tenant"):
        RunOptions.model_validate({"tenant": "Acme"})


# The settings


def test_settings_say_what_each_tenant_may_take() -> None:
    """Per account; an account without caps of its own has those of its provider."""
    text = '{"acme": {"max_in_flight": 5, "weight": 2}, "*": {"submits_per_second": 0.5}, "free": {}}'
    expected = {
        "acme": TenantCaps(max_in_flight=5, weight=2),
        "*": TenantCaps(submits_per_second=0.5),
        "free": TenantCaps(),
    }
    assert caps_in_force(text) == expected
    own = {"BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__B__TENANTS": '{"acme": {"weight": 3}}'}
    accounts = Accounts(load({**BASE, **own, KEY: text}, env_file=None))
    assert read_caps(accounts.limits(AccountName("photogpt", "b")).tenant_caps) == {"acme": TenantCaps(weight=3)}
    assert caps_in_force("{}") == {}


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("acme", ["is not a JSON object"]),
        ('["acme"]', ["is not a JSON object"]),
        ('{"Acme": {}}', ["Acme is no tenant: small letters"]),
        ('{"": {}}', ["an empty text is no tenant"]),
        ('{"a": 5, "b": []}', ["a: must be a JSON object of max_in_flight", "b: must be a JSON object"]),
        ('{"a": {"max_inflight": 5}}', ["a: there is no max_inflight; there are max_in_flight, submits"]),
        ('{"a": {"max_in_flight": 0}, "b": {"max_in_flight": 1.5}}', ["a: max_in_flight must be a whole", "b: max_in"]),
        ('{"a": {"submits_per_second": 0, "weight": 1000}}', ["a: submits_per_second must be", "a: weight must be"]),
        ('{"a": {"weight": true}}', ["a: weight must be a number from 0.01 to 100"]),
        ('{"a": {"weight": NaN}}', []),
        ('{"a": {}, "a": {}}', ["stands twice"]),
    ],
)
def test_mistakes_of_caps_are_named_all_at_once(text: str, mistakes: list[str]) -> None:
    """With the variable, and what to set instead."""
    with pytest.raises(ConfigurationProblems) as caught:
        load({**BASE, KEY: text}, env_file=None)
    message = str(caught.value)
    assert f"{KEY}: " in message
    assert "set it to a JSON object of what each tenant may take" in message
    assert [mistake for mistake in mistakes if mistake not in message] == []


def test_caps_of_an_account_without_settings_are_a_mistake() -> None:
    """They would hold for no job; the message says what is missing."""
    with pytest.raises(ConfigurationProblems, match=r"__TENANTS: .*BIDE_PROVIDERS__PHOTOGPT__API_KEY is not set; set"):
        load({"BIDE_S3__BUCKET": "results", KEY: '{"acme": {}}'}, env_file=None)


# People


def test_tenants_are_listed(stage: Stage) -> None:
    """In line, in flight, counts and caps; JSON has the same."""
    shown_table = Command(stage)("tenants")
    assert shown_table.exit_code == 0
    assert "photogpt/default  acme    2        1" in shown_table.output
    assert "1 in flight" in shown_table.output
    found = {each["tenant"]: each for each in json.loads(Command(stage)("tenants", "photogpt", "--json").output)}
    assert {name: (its["in_line"], its["in_flight"]) for name, its in found.items()} == {
        None: (1, 0),
        "acme": (2, 1),
        "bolt": (1, 0),
        "other": (0, 0),
    }
    assert (found["bolt"]["submitted"], found["bolt"]["succeeded"], found["acme"]["max_in_flight"]) == (1, 1, 1)
    assert Command(stage)("tenants", "nobody").output == "there are none: no request of late names a tenant\n"


def test_jobs_are_listed_by_tenant(stage: Stage) -> None:
    """Those of one; JSON says whose each is."""
    found = json.loads(Command(stage)("jobs", "--tenant", "acme", "--json").output)["jobs"]
    assert {(job["job_id"], job["tenant"]) for job in found} == {("a1", "acme"), ("a2", "acme"), ("a3", "acme")}


def test_explain_says_why_a_tenants_job_waits(stage: Stage) -> None:
    """The jobs of its tenant before it, the other tenants in line, and its cap."""
    story = json.loads(Command(stage)("explain", "a3", "--json").output)
    assert story["tenant"] == "acme"
    assert "its tenant acme has all 1 places that it may take" in story["why"]
    assert "1 others of its tenant acme are before it in line" in story["why"]
    assert "1 other tenants have jobs in line: they take turns with it" in story["why"]


def test_pages_find_the_jobs_of_a_tenant(stage: Stage) -> None:
    """Whether the request or its metadata names it."""
    stage.open("m1", metadata={"tenant": "acme"})
    wanted = filters.read(MultiDict(tenant="acme")).wanted
    found = stage.ledger.recent.page(wanted, most=10).jobs
    assert {each.record.job_id for each in found} == {"a1", "a2", "a3", "m1"}


# Metrics


def test_metrics_have_figures_of_each_tenant(stage: Stage) -> None:
    """Gauges and counters by name; jobs without a tenant have an empty label."""
    found = shown(stage)
    assert found.of_account("tenant_jobs_in_line", tenant="acme") == 2
    assert found.of_account("tenant_jobs_in_line", tenant="") == 1
    assert found.of_account("tenant_in_flight", tenant="acme") == 1
    assert found.of_account("tenant_submitted_jobs_total", tenant="bolt") == 1
    assert found.of_account("tenant_ended_jobs_total", tenant="bolt", state="succeeded") == 1
    assert found.of_account("tenant_ended_jobs_total", tenant="bolt", state="failed") == 0


def test_many_tenants_make_a_bounded_number_of_series() -> None:
    """Fifty by name, the rest together; none of a deployment that has no tenants."""
    stage = Stage.in_memory()
    stage.open("n")
    assert shown(stage).samples("tenant_jobs_in_line") == []
    stage.limits[ACCOUNT] = Limits(max_in_flight=100)
    for number in range(60):
        stage.running(f"j{number}", tenant=f"t{number}")
        stage.clock.advance(1)
    for number in range(55, 60):
        stage.open(f"line{number}", tenant=f"t{number}")
    found = shown(stage)
    assert len(found.samples("tenant_in_flight")) == 52
    assert found.of_account("tenant_in_flight", tenant="other") == 10
    assert found.of_account("tenant_jobs_in_line", tenant="other") == 5
    assert found.of_account("tenant_submitted_jobs_total", tenant="other") == 10
    stage.clock.advance(24 * 3600 + 100)
    stage.running("again", tenant="new")
    assert shown(stage).of_account("tenant_submitted_jobs_total", tenant="new") == 1
    assert shown(stage).of_account("tenant_submitted_jobs_total", tenant="t0") is None, "it was idle for a day"


def test_jobs_that_end_before_a_submit_are_counted_too() -> None:
    """By name as well, as far as there is room."""
    stage = Stage.in_memory()
    for number in range(52):
        stage.open(f"j{number}", tenant=f"t{number}")
        stage.ledger.jobs.cancel(ACCOUNT, f"j{number}")
    found = shown(stage)
    assert found.of_account("tenant_ended_jobs_total", tenant="t0", state="canceled") == 1
    assert found.of_account("tenant_ended_jobs_total", tenant="other", state="canceled") == 2
