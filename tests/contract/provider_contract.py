"""What every adapter must do: inherit `ProviderContract` in `test_{name}.py`, and put samples beside it.

The class needs no server: adapters are pure. It plays the samples, bends them in every way, and feeds noise.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from bide.errors import (
    AccountRefusedError,
    InvalidRequestError,
    PollFailedError,
    UnreadableAnswerError,
)
from bide.money.currencies import as_currency
from bide.providers.base import (
    Answer,
    Cancels,
    Contract,
    LooksUp,
    Lookup,
    Provider,
    Ticket,
)
from bide.settings.sections import ProviderSettings
from tests.contract.adapter_stage import KEY
from tests.contract.provider_answers import SAYS_NOTHING_OF_THE_JOB, UNREADABLE, AnswersContract

#: Keys of submits.
UUIDS = ("4f9d6a1e-0a53-4b1f-9c8e-7d2b6f0c1a11", "0e4c2b7a-6d1f-4a39-8b5e-3c9f7a2d4b22")


class ProviderContract(AnswersContract):
    """Inherit, set `name` and `submissions` (one valid `Submission` for each operation), add tests of your own."""

    # What it declares

    def test_declares_itself(self) -> None:
        """An adapter says where its rules come from and how patient to be."""
        adapter = self.adapter
        assert adapter.name == self.name
        assert adapter.source.startswith("https://")
        assert set(adapter.operations) == set(self.submissions)
        assert adapter.results_live_seconds > 0
        for operation in adapter.operations:
            plan = adapter.plan_for(operation)
            assert 0 < plan.first_seconds <= plan.cap_seconds < adapter.deadline_for(operation)
            assert plan.factor >= 1

    def test_names_lanes_and_secrets_well(self, operation: str) -> None:
        """A lane is the same each time, and no free text of the request; a secret can be a variable."""
        params = self.submissions[operation].params
        lane = self.adapter.lane(operation, params)
        assert isinstance(lane, str)
        assert lane == self.adapter.lane(operation, params)
        assert lane != params.get("prompt", params.get("text", "a prompt"))
        for name in self.adapter.credentials:
            assert re.fullmatch(r"[a-z](_?[a-z0-9])*", name)
            assert not name.endswith("_file")
            assert name == "api_key" or name not in ProviderSettings.model_fields

    def test_prices_are_of_known_params(self, operation: str) -> None:
        """An operation of `priced` alone has a price, the same each time, and a valid request can be priced."""
        adapter, params = self.adapter, self.submissions[operation].params
        price, known = adapter.price(operation, params), adapter.operations[operation].params.known()
        assert as_currency(adapter.currency) == adapter.currency
        assert adapter.priced <= set(adapter.operations)
        assert price is None or operation in adapter.priced
        assert price == adapter.price(operation, params)
        if price is not None:
            assert not known or set(price.names()) <= known
            assert price.amount(adapter.with_defaults(operation, params)) >= 0

    # What it takes

    def test_takes_a_valid_request(self, operation: str) -> None:
        """Known fields are checked; fields it does not know pass, where there is a place for them."""
        submission = self.submissions[operation]
        known = self.adapter.check(operation, submission.params, set(submission.inputs))
        assert known is self.adapter.operations[operation]
        if known.params.model_config.get("extra") == "allow":
            self.adapter.check(operation, {**submission.params, "brand_new_field": {"a": [1]}}, set(submission.inputs))

    def test_refuses_wrong_types_without_repeating_them(self, operation: str) -> None:
        """A wrong value is named by its field; the value itself may be private."""
        params = {**self.submissions[operation].params}
        for name in self.adapter.operations[operation].params.model_fields:
            with pytest.raises(InvalidRequestError, match=rf"params\.{name}") as raised:
                self.adapter.check(operation, {**params, name: object()}, set())
            assert "object at" not in str(raised.value)

    def test_refuses_an_unknown_operation(self) -> None:
        """The message names what there is."""
        with pytest.raises(InvalidRequestError, match=min(self.submissions)):
            self.adapter.check("no.such.operation", {}, set())

    # What it sends

    def test_builds_pure_calls_that_hide_the_key(self, operation: str) -> None:
        """A job gives one and the same call, under the base URL, with the key in no address and no repr."""
        ticket, adapter = self.ticket(operation), self.adapter
        pairs = [
            [adapter.submit_call(self.submissions[operation], self.account) for _ in range(2)],
            [adapter.poll_call(ticket, self.account) for _ in range(2)],
        ]
        if isinstance(adapter, Cancels):
            canceling = [adapter.cancel_call(ticket, self.account) for _ in range(2)]
            pairs.append([call for call in canceling if call is not None])
        for call, again in filter(None, pairs):
            assert call == again
            assert call.url.startswith(self.account.base_url)
            assert call.json is None or call.form is None
            assert KEY not in call.url + repr(call) + json.dumps(dict(call.query))
            assert KEY in json.dumps([dict(call.headers), call.json])
            json.dumps(call.json, allow_nan=False)

    def test_keeps_a_hostile_id_in_its_place(self, operation: str) -> None:
        """An id is one segment of a path, or stands in a body."""
        ticket = Ticket(operation, "a/../b?c=d#e f\u00e9")
        call = self.adapter.poll_call(ticket, self.account)
        assert "a/../b" not in call.url
        assert "?" not in call.url
        assert "#" not in call.url
        assert " " not in call.url

    def test_catalogs_have_calls_and_others_are_refused(self) -> None:
        """Every declared catalog can be asked for; any other is refused by name."""
        for catalog, declared in self.adapter.catalogs.items():
            call = self.adapter.catalog_call(catalog, dict.fromkeys(declared.arguments, "x"), self.account)
            assert call.method == "GET"
            assert KEY not in repr(call)
        with pytest.raises(InvalidRequestError, match=r"no\.such\.catalog"):
            self.adapter.catalog_call("no.such.catalog", {}, self.account)
        with pytest.raises(UnreadableAnswerError):
            Provider.read_catalog(self.adapter, "no.such.catalog", Answer(200, {}, b"[]"))

    # What it promises for its provider

    def test_what_is_promised_can_be_done(self, operation: str) -> None:
        """Where the provider has an idempotency contract the key goes out, and a job can be looked up by it."""
        declared, submission = self.adapter.operations[operation].idempotency, self.submissions[operation]
        if declared is None:
            return
        assert declared.live_seconds > 0
        first, again, other = (
            self.adapter.submit_call(replace(submission, key=key), self.account) for key in (*UUIDS[:1] * 2, UUIDS[1])
        )
        assert first == again != other
        if declared.contract is not Contract.REPLAY and self.adapter.operations[operation].buys:
            assert isinstance(self.adapter, LooksUp)
        if isinstance(self.adapter, LooksUp):
            self._check_look_ups(self.adapter, Lookup(UUIDS[0], operation))

    def _check_look_ups(self, adapter: LooksUp, lookup: Lookup) -> None:
        """What can't be read is no answer, above all not that there is no job."""
        assert adapter.shows_after_seconds >= 0
        call, again = (adapter.lookup_call(lookup, self.account) for _ in range(2))
        assert call == again != adapter.lookup_call(replace(lookup, key=UUIDS[1]), self.account)
        assert KEY not in call.url + repr(call)
        unreadable = [Answer(200, {}, body) for body in UNREADABLE]
        for answer in [*unreadable, *(Answer(status, {}, b"{}") for status in (*SAYS_NOTHING_OF_THE_JOB, 401, 403))]:
            with pytest.raises((PollFailedError, AccountRefusedError)):
                adapter.lookup_outcome(answer, lookup, self.account)
