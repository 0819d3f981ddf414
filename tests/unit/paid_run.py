"""A run whose rows are bought as workers buy them: an intent reserves, and the book settles."""

from __future__ import annotations

from typing import Any

from bide.bulk.intake import take_in
from bide.bulk.reading import RawRow
from bide.bulk.record import Options, Run
from bide.bulk.start import start
from bide.contract import JobState
from bide.errors import OverBudgetError
from bide.ledger import AccountName, Record, Verb
from bide.ledger.keys import prefix
from bide.money.quote import Quote
from tests.contract.ledger_contract_money import FREE_OF_CHARGE
from tests.unit.bulk_world import ACCOUNT, World, row
from workers.bulk.feeder import Feeder

WHOLE = 1_000_000
PRICES = {"photogpt images.generation": "0.02 * params.numImages"}

#: What one row of `pictures` costs [millionths].
ROW = 80_000


def pictures(count: int, **more: Any) -> list[dict[str, Any]]:
    """Requests for four pictures each."""
    params = {"modelID": "m1", "numImages": 4}
    return [row(f"fox {at}", params={**params, "prompt": f"fox {at}"}, **more) for at in range(count)]


class PaidRun(World):
    """Its run `r` has a budget in USD; each look at it checks that the budget is not passed."""

    def new_feeder(self) -> Feeder:
        self.held: dict[str, tuple[Record, str, int]] = {}
        return super().new_feeder()

    def begin_with(self, requests: list[dict[str, Any]], *, budget: int, **options: Any) -> None:
        """Begin the run with a budget in millionths of a dollar."""
        intake = take_in(RawRow(at, lambda _, each=each: each) for at, each in enumerate(requests, start=1))  # type: ignore[misc]  # mypy can't infer the default
        given = {"window": 8, "prices": PRICES, **options}
        given |= {"budget": budget, "budget_currency": "USD"}
        start(self.runs, self.storage, intake, run_id="r", source="test", options=Options(**given))
        intake.close()

    @property
    def run(self) -> Run:
        """The run; its budget was not passed."""
        run = self.runs.read("r")
        assert run is not None
        assert run.number("reserved") + run.number("spent") <= (run.options.budget or 0)
        return run

    def on(self, clock: str) -> list[str]:
        """Jobs of the account on a clock."""
        return [str(each) for each in self.server.zrange(f"{prefix(ACCOUNT)}{clock}", 0, -1)]

    def waiting(self) -> list[str]:
        """Jobs that wait for the run's budget."""
        return self.on("over_budget:run:r")

    def let_in(self) -> list[str]:
        """Jobs that a message asks a worker to submit."""
        jobs = f"{prefix(ACCOUNT)}job:"
        return [each for each in self.on("lease") if not self.server.hget(jobs + each, "over_budget")]

    def fill(self, rows: int) -> None:
        """Have so many rows let in, before any is bought."""
        for _ in range(rows):
            self.feed()
        assert len(self.let_in()) == rows

    def intend_all(self, account: AccountName = ACCOUNT) -> int:
        """Workers take all rows that are let in, and write their intents; how many could."""
        begun = 0
        self.ledger.accounts.admit(account)
        for job_id in self.let_in():
            token = f"t-{job_id}-{len(self.held)}"
            step = self.ledger.jobs.step(job_id, account, token=token)
            if step.verb is Verb.SUBMIT and step.record:
                begun += self.intend(step.record, token)
        return begun

    def intend(self, record: Record, token: str) -> bool:
        """Write the intent of a row; whether its run's budget had room."""
        own = self.runs.budget("r")
        assert own
        quote = own.quote(record.request, Quote(None, "USD", reason="this worker has no prices"))
        try:
            attempt = self.ledger.submits.intend(record, token, quote=quote, budgets=[own.budget])
        except OverBudgetError:
            return False
        finally:
            _ = self.run
        self.held[record.job_id] = record, token, attempt
        return True

    def accept(self, job_id: str) -> None:
        """The provider has accepted a row, and is done."""
        record, token, attempt = self.held.pop(job_id)
        self.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id=f"p-{job_id}")
        self._finish(prefix(ACCOUNT), "due", job_id, "")

    def fail_unpaid(self, job_id: str) -> None:
        """The provider has refused a row, and charges nothing."""
        record, token, attempt = self.held.pop(job_id)
        self.ledger.jobs.conclude(record, token, JobState.FAILED, error=FREE_OF_CHARGE, attempt=attempt)
        self.ledger.jobs.answered(ACCOUNT, job_id)

    def accept_all(self) -> None:
        """All submits that are under way go well."""
        for job_id in sorted(self.held):
            self.accept(job_id)

    def go_on(self, times: int = 12) -> None:
        """Feeder and workers do all that there is to do."""
        for _ in range(times):
            if self.run.over:
                return
            self.feed()
            self.intend_all()
            self.accept_all()
