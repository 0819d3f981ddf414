"""What life may do to a ledger: who asks for what, what workers run into, and how often things happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast, get_args

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from bide.contract import GenerateRequest
from bide.ledger import AccountName, Limits, Record, Verb
from tests.contract.ledger_stage import request_of

LIMITS = {
    AccountName("photogpt", "default"): Limits(max_in_flight=3),
    AccountName("dreambooth", "second"): Limits(max_in_flight=2, submits_per_second=0.5, polls_per_second=1.0),
}
ACCOUNTS = tuple(LIMITS)

#: What may come of a worker's step; most of one life's steps go as its provider usually does.
ANSWERS = ("accepted", "accepted, done at once", "refused", "rejected", "doubtful")
WORK = (*["as usual"] * 8, *ANSWERS, "intend", "intend", "invalid", "put off", "die")

Kind = Literal["running", "trouble", "ended", "failed"]
kinds = st.sampled_from(get_args(Kind)).map(lambda kind: cast("Kind", kind))
accounts = st.sampled_from(ACCOUNTS)
numbers = st.integers(0, 11)
some = st.integers(0, 11)

#: All events, each as often as its weight.
EVENTS: list[st.SearchStrategy[tuple[str, dict[str, Any]]]] = []
Method = TypeVar("Method", bound=Callable[..., None])


def event(*, weight: int, **arguments: st.SearchStrategy[Any]) -> Callable[[Method], Method]:
    """Something that may happen, `weight` times as often as the rarest."""

    def registered(method: Method) -> Method:
        name = method.__name__
        EVENTS.extend(st.tuples(st.just(name), st.fixed_dictionaries(arguments)) for _ in range(weight))
        return method

    return registered


def a_request(account: AccountName, number: int) -> GenerateRequest:
    """The requests of one account, by number: of each six two ask for the same, a third uses their key wrongly."""
    group, kind = divmod(number, 6)
    return request_of(
        account,
        params={"prompt": f"the same {group}" if kind in (0, 1) else f"no. {number}"},
        idempotency_key=f"{account}-{group}" if kind in (0, 1, 2) else None,
        on_unknown="resubmit" if kind in (0, 1, 3) else "hold",
        priority="bulk" if kind == 4 else "interactive",
        deadline_seconds=40.0 if kind == 5 else None,
    )


def profile(*, examples: int, steps: int) -> settings:
    """The same lives each time: a failure is never a matter of luck."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


@dataclass
class Hold:
    """A worker's idea of a step that it took; it may be wrong by now."""

    record: Record
    token: str
    verb: Verb
    attempt: int = 0
