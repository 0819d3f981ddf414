"""What an account is allowed and how it is called: resolved once, from its settings over what its adapter says."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from bide.contract import GenerateRequest
from bide.errors import ConfigurationError, InvalidRequestError
from bide.ledger import AccountName, Limits
from bide.ledger.jobs import DEFAULT_DEADLINE_SECONDS
from bide.ledger.tenants import TenantCaps, caps_text
from bide.money.price_list import PriceList
from bide.money.quote import Quote
from bide.polling.backoff import PollPlan
from bide.pricing import AccountPrices
from bide.providers import find, installed
from bide.providers.base import Account, Operation, Provider
from bide.providers.check import refuse_unknown, unknown_params_variable
from bide.providers.lanes import lane_of
from bide.retention import Retention
from bide.settings.checks import listing_problems
from bide.settings.model import Settings
from bide.settings.problems import ConfigurationProblems
from bide.settings.sections import EffectiveAccount, HookSettings
from bide.settings.tenants import TenantLimits
from bide.webhooks.incoming import Hooks


@dataclass(frozen=True)
class AccountContext:
    """One account of a provider, as every step and service of a process sees it."""

    name: AccountName
    adapter: Provider
    limits: Limits
    #: Hosts of media that may lie at private addresses, see `workers.io.guard.check_url`.
    media_hosts: tuple[str, ...]
    #: Whether polls are timed by how long earlier jobs took.
    learns: bool
    #: '' where neither the settings nor the adapter name one.
    base_url: str
    api_key: SecretStr
    hooks: Hooks | None = field(repr=False)
    #: Phrases by which the provider says that credit is used up, besides those that every adapter knows.
    credit_words: tuple[str, ...]
    #: Whether params that bide does not know are refused; else they pass with a warning.
    refuses_unknown_params: bool
    #: Whether a doubtful submit without a promise of the provider is looked for on its list of recent jobs.
    settles_by_list: bool
    #: From the settings; None is left to the adapter, operation by operation [seconds].
    own_deadline_seconds: float | None
    own_poll_first_seconds: float | None
    own_poll_factor: float | None
    own_poll_cap_seconds: float | None
    #: Those that the adapter names besides `api_key`.
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)
    #: From the settings; what these lack, the provider's file or adapter may have.
    prices: AccountPrices = field(default_factory=AccountPrices)
    retention: Retention = field(default_factory=Retention)

    @property
    def credentials(self) -> Account:
        """Where and as whom to submit now; raises `InvalidRequestError` where no address is known."""
        return self.credentials_at("")

    def credentials_at(self, base_url: str) -> Account:
        """As whom to call where a job was bought, '' for one whose record does not say: as `credentials`."""
        account = self.anywhere.at(base_url)
        if not account.base_url:
            variable = f"BIDE_PROVIDERS__{self.name.provider.upper()}__BASE_URL"
            raise InvalidRequestError(f"account: {self.name} has no address; set {variable}")
        return account

    @property
    def anywhere(self) -> Account:
        """As whom to call now about jobs whose records say where they were bought; its base URL may be ''."""
        return Account(
            self.base_url.rstrip("/"),
            self.api_key.get_secret_value(),
            self.hooks,
            self.credit_words,
            {name: secret.get_secret_value() for name, secret in self.secrets.items()},
            time.time(),
        )

    def check(self, request: GenerateRequest) -> Operation:
        """Check what is known of a request before anything is bought; raises `InvalidRequestError`."""
        operation = self.adapter.check(request.operation, request.params, set(request.inputs))
        self.retention.check(request)
        if self.refuses_unknown_params:
            refuse_unknown(operation.params, request.params, variable=unknown_params_variable(self.name.provider))
        return operation

    def lane(self, request: GenerateRequest) -> str:
        """What durations and breaker depend on within the operation of a request that passes the check; '' for none."""
        return lane_of(self.adapter, request.operation, request.params)

    def quote(self, request: GenerateRequest) -> Quote:
        """The price of one purchase of a request that passes the check."""
        return self.prices.quote(self.adapter, request)

    def poll_plan(self, operation: str) -> PollPlan:
        """How often jobs of an operation are polled while nothing is known of their durations."""
        plan = self.adapter.plan_for(operation)
        return PollPlan(
            first_seconds=self.own_poll_first_seconds or plan.first_seconds,
            factor=self.own_poll_factor or plan.factor,
            cap_seconds=self.own_poll_cap_seconds or plan.cap_seconds,
        )

    def deadline_seconds(self, operation: str) -> float:
        """How long a job of an operation may take where its request does not say."""
        return self.own_deadline_seconds or self.adapter.deadline_for(operation)


class Accounts:
    """The accounts of a process; each is resolved when it is first asked for, and kept. Shared by all threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._resolved: dict[AccountName, AccountContext] = {}

    @property
    def retention(self) -> Retention:
        """How long the objects of any account's jobs stay."""
        return self._settings.retention.resolved

    def get(self, name: AccountName) -> AccountContext:
        """One account; raises `InvalidRequestError` where it has no settings, no key or no adapter."""
        found = self._resolved.get(name)
        if found is None:
            found = self._resolved[name] = _resolve(self._settings, name)
        return found

    def usable(self, request: GenerateRequest) -> AccountContext:
        """The account of a request, or of its fallback; raises `InvalidRequestError` where it can't make the job."""
        find(request.provider).check(request.operation, request.params, set(request.inputs))
        account = self.get(AccountName.of(request))
        account.check(request)
        _ = account.credentials  # raises where the account has no address
        return account

    def find(self, name: AccountName) -> AccountContext | None:
        """One account; None where this process has no settings for it: its jobs are still mended."""
        try:
            return self.get(name)
        except InvalidRequestError:
            return None

    def limits(self, name: AccountName) -> Limits:
        """The limits of an account; the usual ones where this process has no settings for it."""
        context = self.find(name)
        return context.limits if context else Limits()

    def poll_plan(self, name: AccountName, operation: str) -> PollPlan:
        """How often to poll; the adapter's own plan where this process has no settings for the account."""
        context = self.find(name)
        return context.poll_plan(operation) if context else find(name.provider).plan_for(operation)

    def row_deadline_seconds(self, name: AccountName, operation: str) -> float:
        """How long a row of a run may take. A row of an account without settings is opened: its submit says so."""
        context = self.find(name)
        return context.deadline_seconds(operation) if context else DEFAULT_DEADLINE_SECONDS


def _resolve(settings: Settings, name: AccountName) -> AccountContext:
    try:
        own: EffectiveAccount = settings.account(*name)
    except ConfigurationProblems as problems:
        reasons = "; ".join(map(str, problems.problems))
        raise InvalidRequestError(f"account: {name} can't be used here: {reasons}") from None
    adapter = find(name.provider)
    return AccountContext(
        name=name,
        adapter=adapter,
        limits=_limits_of(own),
        media_hosts=own.media_hosts,
        learns=own.poll_learn,
        base_url=own.base_url or adapter.default_base_url or "",
        api_key=own.api_key,
        hooks=_hooks_of(settings.hooks, name),
        credit_words=own.credit_words,
        refuses_unknown_params=own.unknown_params == "refuse",
        settles_by_list=own.settle == "listing",
        own_deadline_seconds=own.deadline_seconds,
        own_poll_first_seconds=own.poll_first_seconds,
        own_poll_factor=own.poll_factor,
        own_poll_cap_seconds=own.poll_cap_seconds,
        secrets=own.secrets,
        prices=AccountPrices(PriceList.of(own.prices), own.currency or ""),
        retention=settings.retention.resolved,
    )


def _limits_of(own: EffectiveAccount) -> Limits:
    tenants = (TenantLimits(*each) for each in own.tenants)
    caps = {its.tenant: TenantCaps(its.max_in_flight, its.submits_per_second, its.weight) for its in tenants}
    return Limits(own.max_in_flight, own.submits_per_second, own.polls_per_second, caps_text(caps))


def refuses_unknown_params(settings: Settings, name: AccountName) -> bool:
    """Whether an account refuses params that bide does not know; not one that has no settings here."""
    shared = settings.providers.get(name.provider)
    own = shared and shared.accounts.get(name.account)
    return ((own and own.unknown_params) or (shared and shared.unknown_params)) == "refuse"


def row_lane(request: GenerateRequest) -> str:
    """The lane of a row of a run; '' for one that its submit will refuse."""
    try:
        adapter = find(request.provider)
        adapter.check(request.operation, request.params, set(request.inputs))
    except InvalidRequestError:
        return ""
    return lane_of(adapter, request.operation, request.params)


def _hooks_of(settings: HookSettings, name: AccountName) -> Hooks | None:
    """Where a provider may call about an account's jobs; None where no endpoint is set up."""
    if settings.url is None or settings.secret is None:
        return None
    return Hooks(settings.url, settings.secret.get_secret_value(), *name)


def check_providers(settings: Settings) -> None:
    """Raise `ConfigurationError` for settings of providers that are not installed, or have no list to settle by."""
    unknown = sorted(set(settings.providers) - set(installed()))
    if unknown:
        known = ", ".join(sorted(installed()))
        names = ", ".join(f"BIDE_PROVIDERS__{name.upper()}__..." for name in unknown)
        raise ConfigurationError(f"{names}: no such provider is installed, nor has a file; there are {known}")
    listless = [f"{it.variable}=listing: {it.wrong}; {it.remedy}" for it in listing_problems(settings)]
    if listless:
        raise ConfigurationError("; ".join(listless))
