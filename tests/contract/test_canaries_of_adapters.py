"""Every secret of every installed provider, in what its adapter sends and says: new adapters are searched, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bide.errors import BideError
from bide.providers import find, installed
from bide.providers.base import Account, Answer, Call, Cancels, Provider, Ticket
from tests.contract.samples import SAMPLES, Sample, load
from tests.contract.usual import account_with, secrets_of, submissions_of
from tests.faults.canaries import Canary, Place, strays
from workers.io.origin import OriginHeaders

BASE = "https://provider.example:8443/api"


def canaries(secrets: dict[str, str]) -> list[Canary]:
    """The secrets, to be looked for."""
    return [Canary(f"{name} of an account", secret) for name, secret in secrets.items()]


def account_of(provider: str) -> tuple[Account, list[Canary]]:
    """An account in which every secret is a canary."""
    secrets = secrets_of(provider, "0123456789abcdef")
    return account_with(secrets, BASE), canaries(secrets)


def calls(adapter: Provider, account: Account) -> Iterator[tuple[str, Call]]:
    """Every kind of call that the adapter builds."""
    for operation, submission in submissions_of(adapter.name).items():
        ticket = Ticket(operation, "job-1", seen=True)
        yield f"submit of {operation}", adapter.submit_call(submission, account)
        yield f"poll of {operation}", adapter.poll_call(ticket, account)
        if isinstance(adapter, Cancels) and (cancel := adapter.cancel_call(ticket, account)):
            yield f"cancel of {operation}", cancel
    for catalog, declared in adapter.catalogs.items():
        yield f"catalog {catalog}", adapter.catalog_call(catalog, dict.fromkeys(declared.arguments, "x"), account)
    if adapter.listed_operations:
        now = datetime.now(UTC)
        yield "list", adapter.list_call(now, now, account)


@pytest.mark.parametrize("provider", sorted(installed()))
def test_no_address_and_no_repr_has_a_secret(provider: str) -> None:
    """Addresses go into logs and errors; headers and bodies do not."""
    account, planted = account_of(provider)
    places = [Place("account", repr(account))]
    for name, call in calls(find(provider), account):
        places += [Place(name, f"{call!r} {call.url} {dict(call.query)}")]
    headers = find(provider).media_headers(account)
    places += [Place("headers of downloads", repr(OriginHeaders(BASE, headers)))]
    assert strays(planted, places) == []


def read(adapter: Provider, account: Account, sample: Sample, answer: Answer) -> Any:
    """What the adapter makes of an answer, errors included."""
    try:
        if sample.kind == "catalog":
            return adapter.catalog_outcome(sample.operation, answer, account)
        if sample.is_submit:
            return adapter.submit_outcome(answer, submissions_of(adapter.name)[sample.operation], account)
        return adapter.poll_outcome(answer, Ticket(sample.operation, "job-1", sample.cursor, seen=True), account)
    except BideError as error:
        return error


def words(outcome: Any) -> str:
    """What of an outcome reaches people: messages, reasons, words about progress and what is missing."""
    progress = getattr(outcome, "progress", None)
    fields = [getattr(outcome, name, "") for name in ("message", "reason", "partial")]
    errors = [str(outcome)] if isinstance(outcome, BideError) else []
    return json.dumps([*fields, *errors, getattr(progress, "message", "")], default=str)


def quoting(body: Any, text: str) -> Iterator[Any]:
    """The body with each of its texts, one after the other, replaced by one that quotes a secret; and added fields."""
    if isinstance(body, dict):
        for name, value in body.items():
            yield from ({**body, name: variant} for variant in quoting(value, text))
        yield {**body, "message": text, "error": text, "detail": text}
    elif isinstance(body, list):
        for at, value in enumerate(body):
            yield from ([*body[:at], variant, *body[at + 1 :]] for variant in quoting(value, text))
    elif isinstance(body, str) or body is None:
        yield text


@pytest.mark.parametrize("provider", sorted(installed()))
def test_no_outcome_repeats_a_secret(provider: str) -> None:
    """Providers quote back what they got, in any field and under any code."""
    account, planted = account_of(provider)
    adapter, places = find(provider), []
    quoted = " ".join(f"bad key {canary.secret}!" for canary in planted)
    for sample in load(SAMPLES / provider):
        if sample.kind == "cancel":
            continue  # its outcome is one of four words
        for body in quoting(sample.body, quoted):
            for status in {sample.answer.status, 401, 422, 500}:
                answer = replace(sample.answer, status=status, body=json.dumps(body).encode())
                outcome = read(adapter, account, sample, answer)
                places.append(Place(f"{sample.name} under {status}", words(outcome)))
    assert len(places) > 20
    assert strays(planted, places) == []
