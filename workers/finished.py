"""Finished jobs by their `job.json` alone: which of them are this deployment's, where others share the bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bide.contract import JobResult
from bide.deployments import Owners
from bide.ledger import AccountName
from bide.ledger.identity import LEDGER
from bide.purchases import ACCOUNT
from bide.settings.model import Settings


@dataclass(frozen=True)
class Finished:
    """A `job.json`, and the metadata of its object."""

    result: JobResult
    about: Mapping[str, str]

    @property
    def ledger(self) -> str:
        """The id of the ledger that had the job; '' of an earlier release."""
        return self.about.get(LEDGER, "")

    @property
    def account(self) -> AccountName | None:
        """The account that made it, where that is known."""
        name = self.about.get(ACCOUNT) or (self.result.made_by.account if self.result.made_by else "")
        return AccountName(self.result.provider, name) if name else None

    def likely_account(self, settings: Settings) -> AccountName:
        """The account that made it; a guess for a job of an earlier release."""
        accounts = settings.accounts_of(self.result.provider)
        return self.account or AccountName(self.result.provider, accounts[0] if len(accounts) == 1 else "default")


class Whose:
    """Tells a deployment's finished jobs from those of others.

    An object of an earlier release names no ledger. Where the bucket knows other ledgers, it counts as this
    deployment's by an account that is configured here, and that no other deployment is seen to use.
    """

    def __init__(self, known: Owners, settings: Settings, finished: Sequence[Finished]) -> None:
        self._known, self._settings = known, settings
        self._theirs = {each.account for each in finished if each.ledger and not known.owns(each.ledger)}

    def foreign(self, finished: Finished) -> str:
        """Why a job is left alone; '' for one of this deployment."""
        if self._known.owns(finished.ledger) or (not finished.ledger and self._is_by_own_account(finished)):
            return ""
        if finished.ledger:
            return f"the ledger {finished.ledger} had it, which is not this deployment's"
        return "its object names no ledger, and other deployments share the bucket"

    def _is_by_own_account(self, finished: Finished) -> bool:
        account = finished.account
        if account is None or account in self._theirs:
            return False
        return account.account in self._settings.accounts_of(account.provider)
