"""The scripts that change one job. Each Lua file says what its keys and arguments mean, and what it replies."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bide.ledger.safety import LEDGER_KEY
from bide.ledger.script import BOUND, Key, Script


class BudgetLimit(NamedTuple):
    """A budget as scripts need it; `amount` is in millionths."""

    name: str
    per: str
    amount: int
    over: str


class Step(Script):
    idempotency_key: Key
    accounts: Key
    canceled: Key
    id: str
    token: str
    request: str
    signature: str
    operation: str
    deadline_seconds: str
    bulk: bool
    resubmit: bool
    fingerprint: str
    retention_seconds: float = BOUND
    lease_seconds: float = BOUND
    max_in_flight: int = BOUND
    submits_per_second: float = BOUND
    account_name: str
    take: bool
    lane: str = ""
    hint_seconds: float = BOUND
    fallbacks: int = 0
    tenant: str = ""


class Intend(Script):
    ledger: Key = Key(LEDGER_KEY)
    id: str
    token: str
    lease_seconds: float = BOUND
    base_url: str = ""
    adapter: str = ""
    contract: str = ""
    free: bool = False
    key: str = ""
    digest: str = ""
    live_seconds: float = 0.0
    sending_seconds: float = 0.0
    signed_at: float = 0.0
    absent: bool = False
    evidence: str = ""
    submits_per_second: float = BOUND
    lane: str = ""
    ledger_id: str = ""
    ledger_looked_at: float = 0.0
    price: str = ""
    currency: str = ""
    priced_by: str = ""
    budgets: Sequence[BudgetLimit] = ()


class HoldBack(Script):
    id: str
    token: str
    seconds: float
    reason: str
    max_in_flight: int = BOUND
    submits_per_second: float = BOUND


class TakeBack(Script):
    id: str
    token: str
    seconds: float
    reason: str
    max_in_flight: int = BOUND
    submits_per_second: float = BOUND
    hint_seconds: float = BOUND
    canceled_error: str
    unconfirmed_error: str


class Submitted(Script):
    id: str
    attempt: str
    provider_job_id: str
    first_poll_seconds: float
    outputs: str
    hint_seconds: float = BOUND
    max_in_flight: int = BOUND
    submits_per_second: float = BOUND
    estimate_seconds: str
    partial: str = ""
    handle: str = ""
    base_url: str = ""
    adapter: str = ""
    evidence: str = ""
    others: str = ""
    new: bool = False
    breach: bool = False
    breach_error: str = ""
    cost: str = ""
    retention_seconds: float = BOUND


class Refused(Script):
    id: str
    token: str
    block_seconds: float
    reason: str
    longest_block_seconds: float
    max_in_flight: int = BOUND
    submits_per_second: float = BOUND
    attempt: str
    error: str
    hint_seconds: float = BOUND
    canceled_error: str = ""
    unconfirmed_error: str = ""
    unsettled_error: str = ""
    evidence: str = ""
    retention_seconds: float = BOUND


class Conclude(Script):
    id: str
    token: str
    ending: str
    field: str
    value: str
    lease_seconds: float = BOUND
    longest_block_seconds: float = BOUND
    attempt: str
    unconfirmed_error: str
    note: str
    outputs: str
    final: bool = False
    canceled_error: str = ""
    settle_seconds: float | None = None
    received: bool = False
    evidence: str = ""
    hint_seconds: float = BOUND
    retention_seconds: float = BOUND


class Postpone(Script):
    id: str
    token: str
    seconds: float
    hint_seconds: float = BOUND
    note: str
    ask_again: bool
    home: str
    max_in_flight: int = BOUND
    submits_per_second: float = BOUND


class Answered(Script):
    id: str
    retention_seconds: float = BOUND
    hint_seconds: float = BOUND
    leader: str
    max_in_flight: int = BOUND
    submits_per_second: float = BOUND
    known_state: str
    packs: bool = BOUND
    again: bool = False


class Pack(Script):
    id: str
    packed: str
    part_bytes: int
    fields: Mapping[str, str]


class Cancel(Script):
    id: str
    error: str
    hint_seconds: float = BOUND
    retention_seconds: float = BOUND
    at_provider: bool = False
    unconfirmed_error: str = ""


class Resubmit(Script):
    id: str
    max_in_flight: int = BOUND
    submits_per_second: float = BOUND
    by: str


class Attach(Script):
    accounts: Key
    id: str
    provider_job_id: str
    by: str
    error: str
    evidence: str = ""
    token: str = ""


class GiveUp(Script):
    id: str
    error: str
    hint_seconds: float = BOUND
    retention_seconds: float = BOUND
    by: str


class Doubt(Script):
    id: str
    error: str
    hint_seconds: float = BOUND
    by: str


class Erase(Script):
    idempotency_key: Key
    id: str
    state: str
    pid: str
    other_pid: str
    request: str
    retention_seconds: float = BOUND
    fields: Mapping[str, str]


class PollNow(Script):
    id: str
    gap_seconds: float
    most: int


class Recover(Script):
    idempotency_key: Key
    accounts: Key
    id: str
    account_name: str
    ending: str
    attempt: str
    accepted: bool
    refused: bool = False
    provider_job_id: str = ""
    others: str = ""
    handle: str = ""
    base_url: str = ""
    adapter: str = ""
    cost: str = ""
    outputs: str = ""
    partial: str = ""
    value: str = ""
    request: str
    signature: str = ""
    note: str
    intended: float = 0.0
    reached: int = 0
    names: bool = True
    further: str = ""
    called_back: bool = False
    leader_stays: bool = False
    dry: bool = False
    retention_seconds: float = BOUND
    fields: Mapping[str, str]


class Displace(Script):
    id: str
    fp: str
    leader: str = ""
    to: str
    created: str
    intended: float
    reached: int
    ending: str
    certain: bool
    provider_job_id: str
    names: bool
    further: str
    dry: bool
    retention_seconds: float = BOUND
    left: Mapping[str, str]
