"""The events of the ledger machine: requests, what workers run into, and how often each of them happens."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from hypothesis import HealthCheck, settings

from bide.contract import GenerateRequest
from bide.ledger import AccountName, Limits, Record, Verb
from bide.ledger.settling import LISTING, Promise
from bide.ledger.tenants import TenantCaps, caps_text
from tests.contract.ledger_stage import request_of

LIMITS = {
    AccountName("photogpt", "default"): Limits(max_in_flight=3),
    AccountName("dreambooth", "second"): Limits(
        max_in_flight=2,
        submits_per_second=0.5,
        polls_per_second=1.0,
        tenant_caps=caps_text({"umbra": TenantCaps(max_in_flight=1, submits_per_second=0.2, weight=2)}),
    ),
}
ACCOUNTS = tuple(LIMITS)

#: What may come of a worker's step; most of one life's steps go as its provider usually does.
ANSWERS = ("accepted", "accepted, done at once", "refused", "rejected", "unconfirmed")
WORK = (*["as usual"] * 8, *ANSWERS, "intend", "intend", "invalid", "put off", "die")

Kind = Literal["running", "trouble", "ended", "failed"]
Draw = Callable[[random.Random], Any]
Method = TypeVar("Method", bound=Callable[..., None])

#: All events with their weights and how their arguments are drawn.
EVENTS: dict[str, tuple[int, dict[str, Draw]]] = {}


def event(*, weight: int, **arguments: Draw) -> Callable[[Method], Method]:
    """Register an event of the machine, `weight` times as often as the rarest."""

    def registered(method: Method) -> Method:
        EVENTS[method.__name__] = weight, arguments
        return method

    return registered


def next_event(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """The next event's name and arguments."""
    name = chance.choices(list(EVENTS), [weight for weight, _ in EVENTS.values()])[0]
    return name, {argument: draw(chance) for argument, draw in EVENTS[name][1].items()}


def among(*values: Any) -> Draw:
    """Draws one of the values; a value given twice is twice as likely."""
    return lambda chance: chance.choice(values)


def several(draw: Draw, least: int, most: int) -> Draw:
    """Draws a list of `least` to `most` values."""
    return lambda chance: [draw(chance) for _ in range(chance.randint(least, most))]


either = among(False, True)
either_account = among(*ACCOUNTS)
some = among(*range(12))


def a_request(name: AccountName, number: int) -> GenerateRequest:
    """The requests of one account, by number: of each six two ask for the same, a third uses their key wrongly."""
    group, kind = divmod(number, 6)
    return request_of(
        name,
        params={"prompt": f"the same {group}" if kind in (0, 1) else f"no. {number}"},
        idempotency_key=f"{name}-{group}" if kind in (0, 1, 2) else None,
        on_unknown="resubmit" if kind in (0, 1) else "hold",
        priority="bulk" if kind == 4 else "interactive",
        deadline_seconds=40.0 if kind == 5 else None,
        callback_url="https://example.com/hook" if kind in (0, 1, 3) else None,
        tenant=(None, "acme", "umbra")[(number if kind > 2 else group) % 3],
    )


def promise_of(record: Record, key: str) -> Promise:
    """What a worker sends a job's submit with: each fifth job has another kind of promise."""
    number = int(record.job_id[1:])
    contract = ("", "replay", "reject", "", LISTING)[number % 5]
    free = number % 5 == 3
    known = record.text("submit_key") if record.in_doubt else key
    return Promise(
        contract, free, known if contract not in ("", LISTING) else "", "digest", live_seconds=900, sending_seconds=30
    )


def lane_of(job_id: str) -> str:
    """The lane of a job's request, by its number: every third has none."""
    return ("", "one", "two")[int(job_id[1:]) % 3]


def profile(*, examples: int, steps: int) -> settings:
    """Settings that play the same lives each time: a failure is never a matter of luck."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


@dataclass
class Lease:
    """A worker's idea of a step that it took; it may be wrong by now."""

    record: Record
    token: str
    verb: Verb
    attempt: int = 0
    too_late: bool = False
    #: The key of its submit; that of a submit without a promise is its own.
    key: str = ""
