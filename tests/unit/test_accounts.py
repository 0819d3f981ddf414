"""What an account is allowed and how it is called: from the settings, over what its adapter says."""

from __future__ import annotations

import pytest

from bide.errors import InvalidRequestError
from bide.ledger import AccountName, Limits
from bide.ledger.jobs import DEFAULT_DEADLINE_SECONDS
from bide.polling.backoff import PollPlan
from bide.providers import find
from config.settings import load
from workers.accounts import Accounts

NAME = AccountName("photogpt", "default")
STRANGER = AccountName("photogpt", "second")
IMAGES = "images.generation"


def accounts(**settings: str) -> Accounts:
    """The accounts of a process with one key, and these settings of PhotoGPT."""
    own = {f"BIDE_PROVIDERS__PHOTOGPT__{name}": value for name, value in settings.items()}
    return Accounts(
        load({"BIDE_S3__BUCKET": "results", "BIDE_PROVIDERS__PHOTOGPT__API_KEY": "key-1", **own}, env_file=None)
    )


def test_an_account_is_resolved_once() -> None:
    """All steps of a process share one context."""
    known = accounts()
    assert known.get(NAME) is known.get(NAME)


def test_settings_come_before_what_the_adapter_says() -> None:
    """Address, limits, plan and deadline; what is not set is the adapter's own."""
    context = accounts(
        BASE_URL="https://p.example/", MAX_IN_FLIGHT="7", POLL_FIRST_SECONDS="3", DEADLINE_SECONDS="60"
    ).get(NAME)
    plan = find("photogpt").plan_for(IMAGES)
    assert context.credentials.base_url == "https://p.example"
    assert context.limits == Limits(7, 0.0, 0.0)
    assert context.poll_plan(IMAGES) == PollPlan(3.0, plan.factor, plan.cap_seconds)
    assert context.deadline_seconds(IMAGES) == 60.0
    assert accounts().get(NAME).deadline_seconds(IMAGES) == find("photogpt").deadline_for(IMAGES)


def test_an_account_without_settings_is_refused_with_what_to_set() -> None:
    """Its jobs are still mended: they have the usual limits, the adapter's plan and the usual deadline."""
    known = accounts(MAX_IN_FLIGHT="7")
    with pytest.raises(InvalidRequestError, match="BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__SECOND__API_KEY"):
        known.get(STRANGER)
    assert known.find(STRANGER) is None
    assert known.limits(STRANGER) == Limits()
    assert known.poll_plan(STRANGER, IMAGES) == find("photogpt").plan_for(IMAGES)
    assert known.row_deadline_seconds(STRANGER, IMAGES) == DEFAULT_DEADLINE_SECONDS


def test_no_key_shows_in_a_repr() -> None:
    """Contexts may stand in a traceback."""
    context = accounts().get(NAME)
    assert "key-1" not in repr(context) + repr(context.credentials)
