"""The engine of providers in a file is enough: three adapters written as files are no different from those in Python.

Where one is, `DIFFERENCES` says so, and `docs/add-a-provider-in-an-hour.md` says why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.providers import find
from bide.providers.base import Account, Answer, Provider, Submission, Ticket
from bide.providers.reading import as_text, has_id
from tests.contract.declared_twins import LEFT_OUT, twin
from tests.contract.noise import ANSWERS, bent
from tests.contract.provider_contract import ProviderContract
from tests.contract.samples import Sample, described
from tests.contract.test_adapter_fuzz import FUZZ, contract_of, damaged, samples_of
from tests.contract.test_dreambooth import TestDreambooth as Hooked


def body_of(answer: Answer) -> Mapping[str, Any]:
    """The answer's JSON object, also one with spoilt bytes; empty for anything else."""
    try:
        body = json.loads(answer.body.decode(errors="replace"), strict=False)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def is_refusal(body: Mapping[str, Any]) -> bool:
    """Whether dreambooth's word is one by which it refuses a submit."""
    return as_text(body.get("status")).lower() in ("error", "failed")


#: All answers that a file may read in another way than its twin.
DIFFERENCES: dict[str, Callable[[Answer], bool]] = {
    "cyberphotobooth": lambda _: False,
    # "error" beside a request_id, which documents have in place of an id: the file calls the submit unknown
    "dreambooth": lambda answer: (
        as_text(body_of(answer).get("status")).lower() in ("error", "failed")
        and has_id(body_of(answer).get("request_id"))
    ),
    # the twin asks for a file of each playlist, one request after the other
    "photogpt": lambda answer: b".m3u" in answer.body,
}

#: Words that each adapter has its own of.
WORDS = ("says",)

pytestmark = pytest.mark.parametrize("name", sorted(DIFFERENCES))


def outcome_of(adapter: Provider, own: ProviderContract, operation: str, sample_kind: str, answer: Answer) -> Any:
    """What an adapter makes of an answer: the outcome, or the error without its words."""
    if sample_kind == "catalog":
        came = described(lambda: adapter.catalog_outcome(operation, answer, own.account))
    elif sample_kind in ("submit", "refused"):
        came = described(lambda: adapter.submit_outcome(answer, own.submissions[operation], own.account))
    else:
        came = described(lambda: adapter.poll_outcome(answer, own.ticket(operation), own.account))
    return repr({name: value for name, value in came.items() if name not in WORDS})


def played(name: str) -> list[Sample]:
    """The recorded answers of what the file has."""
    left_out = LEFT_OUT[name]
    return [it for it in samples_of(contract_of(name)) if it.operation not in left_out and not it.cursor]


def kinds(sample: Sample) -> tuple[str, ...]:
    """What an answer may be an answer to: each is read in every way."""
    return ("catalog",) if sample.kind == "catalog" else ("submit", "poll-running")


def assert_same(name: str, operation: str, kind: str, answer: Answer) -> None:
    """Both adapters make the same of it, or it is one of `DIFFERENCES`."""
    own = contract_of(name)
    by_python, by_file = (outcome_of(it, own, operation, kind, answer) for it in (find(name), twin(name)))
    assert by_python == by_file or DIFFERENCES[name](answer), (operation, kind, answer.status, answer.body[:500])


def test_samples_come_to_the_same(name: str) -> None:
    """Each recorded answer, and none of them is a difference."""
    own = contract_of(name)
    for sample in played(name):
        came = [outcome_of(it, own, sample.operation, sample.kind, sample.answer) for it in (find(name), twin(name))]
        assert came[0] == came[1], sample.name


def test_bent_samples_come_to_the_same(name: str) -> None:
    """Each recorded answer with something strange in every place."""
    for sample in played(name):
        for variant in bent(sample.body):
            answer = Answer(sample.answer.status, sample.answer.headers, json.dumps(variant).encode())
            for kind in kinds(sample):
                assert_same(name, sample.operation, kind, answer)


@FUZZ
@given(data=st.data())
def test_damaged_answers_come_to_the_same(name: str, data: st.DataObject) -> None:
    """Recorded answers mixed, cut, flipped, or under another code; and noise."""
    own = contract_of(name)
    operations = sorted(set(own.submissions) - LEFT_OUT[name])
    operation = data.draw(st.sampled_from(operations))
    answer = data.draw(ANSWERS | damaged(own).map(lambda pair: pair[1]))
    for kind in ("submit", "poll-running"):
        assert_same(name, operation, kind, answer)
    for catalog in twin(name).catalogs:
        assert_same(name, catalog, "catalog", answer)


def test_calls_are_the_same(name: str) -> None:
    """What is sent, byte for byte, with and without an endpoint for the provider's calls."""
    own = contract_of(name)
    python, file = find(name), twin(name)
    for operation in sorted(set(own.submissions) - LEFT_OUT[name]):
        for account in (own.account, Account(own.account.base_url, own.account.api_key, Hooked.hooked.hooks)):
            submission = own.submissions[operation]
            for params in (submission.params, {**submission.params, "webhook": "https://w.example", "track_id": 7}):
                sent = Submission(submission.job_id, operation, params, submission.inputs)
                assert python.submit_call(sent, account) == file.submit_call(sent, account)
            ticket = Ticket(operation, "a/../b?c=d#e f\u00e9")
            assert python.poll_call(ticket, account) == file.poll_call(ticket, account)
    for catalog, offered in python.catalogs.items():
        arguments = dict.fromkeys(offered.arguments, "x")
        asked = [it.catalog_call(catalog, arguments, own.account) for it in (python, file)]
        assert asked[0] == asked[1]


def test_says_the_same_of_itself(name: str) -> None:
    """Plans, deadlines, forms of pictures, catalogs."""
    python, file = find(name), twin(name)
    assert set(python.operations) - LEFT_OUT[name] == set(file.operations)
    assert python.catalogs == file.catalogs
    for operation, offered in file.operations.items():
        assert python.plan_for(operation) == file.plan_for(operation)
        own = contract_of(name).submissions[operation].params
        assert python.lane(operation, own) == file.lane(operation, own)
        assert python.deadline_for(operation) == file.deadline_for(operation)
        assert python.operations[operation].inputs == offered.inputs
    assert (python.default_base_url, python.source) == (file.default_base_url, file.source)
    assert python.results_live_seconds == file.results_live_seconds
