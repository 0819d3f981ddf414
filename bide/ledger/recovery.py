"""Takes up jobs that a lost ledger knew, or that no ledger knew: each record is written in one script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bide.contract import GenerateRequest, JobState
from bide.ledger import scripts
from bide.ledger.executor import Executor
from bide.ledger.keys import ACCOUNTS_KEY, STATEMENTS_KEY, idempotency_key
from bide.ledger.records import RECORD_VERSION, AccountName, BoughtWith
from bide.ledger.script import Key
from bide.ledger.words import as_word, joined, with_blanks

#: Fields of a record that the ledger writes itself when it takes a job up.
_OWN = frozenset({"idem", "pid", "outputs", "partial"})

#: How often a record at another account is asked to give way, before a caller that sends it anew is left alone.
_MOST_TRIES = 8


@dataclass(frozen=True)
class Lost:
    """A job as it is known from elsewhere."""

    job_id: str
    account: AccountName
    #: Where it stands; `UNCONFIRMED` where its submit may have been accepted.
    state: JobState
    #: What its record had, by the names of the ledger.
    fields: Mapping[str, str] = field(repr=False)
    request: GenerateRequest = field(repr=False)
    #: Its last submit.
    attempt: int
    #: The provider accepted that submit, or surely did not.
    accepted: bool = False
    refused: bool = False
    provider_job_id: str = ""
    #: The ids of further purchases of it.
    others: tuple[str, ...] = ()
    bought_with: BoughtWith = field(default_factory=BoughtWith)
    #: Of a result that is to be stored: its addresses as the ledger has them, or `ask`; and what is missing of it.
    outputs: str = field(default="", repr=False)
    partial: str = ""
    #: The result, or the error of a failure or of an unconfirmed job, as JSON.
    value: str = field(default="", repr=False)
    signature: str = field(default="", repr=False)
    #: The key in Redis of its idempotency key, where the request does not say that.
    idem: str = ""
    #: For people: how it came to be taken up.
    note: str = ""
    #: When its story's last submit was begun [seconds since the epoch], and at which fallback; the job may have been
    #: bought at an account that it had left by then.
    intended: float = 0.0
    reached: int = 0
    #: Whether a purchase that the ledger does not know is named in a record that stays.
    names: bool = True
    #: Whether the receiver of its callback has had that: none is owed any more.
    called_back: bool = False
    #: By account: the record that the job left there, of those that had accepted it, and where nothing came of it.
    left: Mapping[AccountName, Mapping[str, str]] = field(default_factory=dict, repr=False)

    @property
    def certain(self) -> bool:
        """Whether the provider has surely accepted it."""
        return self.accepted or self.state is JobState.SUCCEEDED

    @property
    def further(self) -> str:
        """The purchases besides the one by which it goes on, as the field `elsewhere` of a record names them."""
        named = [f"{self.account} as {as_word(each)}" for each in self.others]
        return "; ".join([*named, *filter(None, [self.fields.get("elsewhere", "")])])


@dataclass(frozen=True)
class TakenUp:
    """What became of it: `taken` (`other` is its state), or why nothing was done.

    `known`: this ledger has it (`other` is its state). `twice`: so it has, and it was bought besides; the record names
    that purchase now. `conflict`: its id is another request's. `run`: the run `other` has counted it. `held`: the job
    `other` has the provider's id. `elsewhere`: it is sent to the account `other` again and again.
    """

    what: str
    other: str
    #: Of `twice`: the purchases that the record did not know, each as `ACCOUNT as ID`.
    named: str = ""


class Recovery:
    """Writes records; each method raises `LedgerAwayError` when Redis stays away."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def take_up(self, lost: Lost, *, dry: bool = False) -> TakenUp:
        """Write the record of a job of which this ledger knows less, or nothing; nothing is bought by that.

        What is polled or stored goes on within a sweep. A job that has ended, or is unconfirmed, is answered anew. What
        another account has in line of it gives way first. `dry`: nothing is written, and what would be is returned.
        """
        leader_stays, behind = False, () if dry else tuple(lost.left)
        for _ in range(_MOST_TRIES):
            what, other, *more = self._recover(lost, leader_stays=leader_stays, dry=dry or bool(behind))
            if what == "taken" and behind:  # before its own record: a second run would find that, and look no further
                for account in behind:
                    self._displace(lost, account, lost.job_id, dry=False)
                behind = ()
                continue
            if what != "elsewhere":
                return TakenUp(what, other, *map(with_blanks, more))
            at, [job_id] = AccountName.parse(other), more
            what, kept, *more = self._displace(lost, at, job_id, dry=dry)
            if job_id != lost.job_id:
                leader_stays = dry or what not in ("moved", "gone")
            elif what not in ("moved", "gone"):
                return TakenUp(what, kept, *map(with_blanks, more))
            elif dry:
                return TakenUp("taken", lost.state.value)
            elif kept and not lost.signature:
                lost = replace(lost, signature=kept)
        return TakenUp("elsewhere", other)

    def _recover(self, lost: Lost, *, leader_stays: bool, dry: bool) -> list[str]:
        key, known = lost.request.idempotency_key, lost.bought_with
        script = scripts.job.Recover(
            idempotency_key=Key(idempotency_key(key) if key else lost.idem),
            accounts=Key(ACCOUNTS_KEY),
            id=lost.job_id,
            account_name=str(lost.account),
            ending=lost.state.value,
            attempt=str(lost.attempt),
            accepted=lost.accepted,
            refused=lost.refused,
            provider_job_id=lost.provider_job_id,
            others=joined(lost.others),
            handle=known.handle,
            base_url=known.base_url,
            adapter=known.adapter,
            cost=known.cost,
            outputs=lost.outputs,
            partial=lost.partial,
            value=lost.value,
            request=lost.request.to_json(),
            signature=lost.signature,
            note=lost.note,
            intended=lost.intended,
            reached=lost.reached,
            names=lost.names,
            further=lost.further,
            called_back=lost.called_back,
            leader_stays=leader_stays,
            dry=dry,
            fields={name: value for name, value in lost.fields.items() if name not in _OWN},
        )
        return list(self._executor.run_safely(lost.account, script))

    def _displace(self, lost: Lost, account: AccountName, job_id: str, *, dry: bool) -> list[str]:
        """Have the record of an account give way; the reply of the script."""
        script = scripts.job.Displace(
            id=job_id,
            fp=lost.fields.get("fp", ""),
            leader="" if job_id == lost.job_id else lost.job_id,
            to=str(lost.account),
            created=lost.fields.get("created", ""),
            intended=lost.intended,
            reached=lost.reached,
            ending=lost.state.value,
            certain=lost.certain,
            provider_job_id=lost.provider_job_id,
            names=lost.names,
            further=lost.further,
            left=lost.left.get(account, {}) if job_id == lost.job_id else {},
            dry=dry,
        )
        return list(self._executor.run_safely(account, script))

    def statements_reach(self) -> dict[tuple[str, str], str]:
        """Until when the books of this ledger hold what a statement had: by day (ISO) and account, the moment (ISO)."""
        marks = self._executor.reach(lambda server: server.hgetall(STATEMENTS_KEY))
        taken_up = (name.split(" ") for name in marks if name.startswith("taken up "))
        return {(day, account): marks[f"taken up {day} {account}"] for _, _, day, account in taken_up}


def new_fields(request: GenerateRequest, *, lane: str, created: float, deadline_seconds: float) -> dict[str, str]:
    """The record of a job that was bought by one submit, as far as its request says it [seconds since the epoch]."""
    given = {
        "v": RECORD_VERSION,
        "op": request.operation,
        "fp": request.fingerprint(),
        "created": f"{created:.3f}",
        "intended": f"{created:.3f}",
        "allowed": f"{deadline_seconds:g}",
        "deadline": f"{created + deadline_seconds:.3f}",
        "submits": "1",
        "lane": lane,
        "tenant": request.tenant or "",
        "callback": "0" if request.callback_url else "",
    }
    return {name: value for name, value in given.items() if value}
