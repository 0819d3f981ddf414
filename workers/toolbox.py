"""Wires the settings to the hands of a process: made at first use, once, and shared by all of its threads."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property

from bide.bulk.runs import Runs
from bide.contract import GenerateRequest, object_key
from bide.errors import BadMediaError, ConfigurationError, InvalidRequestError
from bide.ledger import AccountName, Claimed, Ledger, Limits, Record, Timing
from bide.ledger.callbacks import Callbacks
from bide.ledger.connection import connect
from bide.ledger.ledger import DEFAULT_DEADLINE_SECONDS
from bide.polling.backoff import PollPlan
from bide.polling.timing import PollTiming
from bide.providers import find, installed
from bide.providers.base import Account, Media, Operation, Upload
from bide.settings.model import Settings
from bide.settings.problems import ConfigurationProblems
from bide.settings.sections import EffectiveAccount, HookSettings
from bide.storage import Storage, StorageOptions
from bide.webhooks.incoming import Hooks
from config.settings import settings
from workers.bulk.feeder import Feeder
from workers.io.guard import check_url
from workers.io.http import HttpClient, HttpOptions, Timeouts
from workers.io.inputs import InputFetcher
from workers.io.media import Fetched, download
from workers.io.names import OwnThreads
from workers.services.callback_sender import CallbackSender, refused_address, secrets_of
from workers.services.dispatcher import Dispatcher
from workers.services.event_loop import EventLoop
from workers.services.learner import Learner
from workers.services.lease_keeper import LeaseKeeper

#: How long a provider may fetch an input of ours [seconds]: a day, since it may start late.
INPUT_URL_SECONDS = 24 * 3600


class Toolbox:
    """Everything a step needs. `HttpClient` lives on the event_loop's loop, all else may be used from any thread."""

    def __init__(self, told: Settings) -> None:
        self.settings = told
        server = connect(told.ledger_url, sentinel_master=told.sentinel_master)
        self.ledger = Ledger(server, limits=self._limits, timing=_timing(told))
        self.callbacks = Callbacks(server, timing=_timing(told))
        self._effective: dict[AccountName, EffectiveAccount] = {}

    # Hands, made when first reached for: a poller never opens object storage.

    @cached_property
    def event_loop(self) -> EventLoop:
        return EventLoop()

    @cached_property
    def http(self) -> HttpClient:
        return HttpClient(_http_options(self.settings), names=OwnThreads)

    @cached_property
    def storage(self) -> Storage:
        told = self.settings.s3
        return Storage(
            StorageOptions(
                bucket=told.bucket,
                endpoint_url=told.endpoint_url,
                public_endpoint_url=told.public_endpoint_url,
                region=told.region,
                addressing_style=told.addressing_style,
                connect_timeout_seconds=self.settings.timing.connect_timeout_seconds,
                read_timeout_seconds=self.settings.timing.read_timeout_seconds,
                max_connections=2 * self.settings.worker.concurrency,
            )
        )

    @cached_property
    def runs(self) -> Runs:
        return Runs(self.ledger.server, retention_seconds=self.ledger.timing.retention_seconds)

    @cached_property
    def feeder(self) -> Feeder:
        return Feeder(
            self.runs,
            self.ledger,
            self.storage,
            deadline_seconds=self.bulk_deadline_seconds,
            send=self.dispatcher.send,
        )

    @cached_property
    def leases(self) -> LeaseKeeper:
        return LeaseKeeper(self.ledger)

    @cached_property
    def learner(self) -> Learner:
        return Learner(self.ledger)

    @cached_property
    def callback_sender(self) -> CallbackSender:
        return CallbackSender(self)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        from workers.app import app  # noqa: PLC0415 - the app starts the sweeper, which needs this toolbox

        return Dispatcher(app)

    # What the settings say about an account, over what its adapter says

    def effective(self, name: AccountName) -> EffectiveAccount:
        """The settings of one account; raises `InvalidRequestError` where there are none, or no key."""
        found = self._effective.get(name)
        if found is None:
            try:
                found = self._effective[name] = self.settings.account(*name)
            except ConfigurationProblems as problems:
                raise InvalidRequestError(f"account: {name} can't be used here: {_lines(problems)}") from None
        return found

    def account(self, name: AccountName) -> Account:
        """Where and as whom to call; raises `InvalidRequestError`."""
        told, adapter = self.effective(name), find(name.provider)
        base_url = told.base_url or adapter.default_base_url
        if not base_url:
            variable = f"BIDE_PROVIDERS__{name.provider.upper()}__BASE_URL"
            raise InvalidRequestError(f"account: {name} has no address; set {variable}")
        return Account(base_url.rstrip("/"), told.api_key.get_secret_value(), hooks_of(self.settings.hooks, name))

    def plan(self, name: AccountName, operation: str) -> PollPlan:
        """How often to poll; the adapter's own plan where the account is not in this process's settings."""
        plan = find(name.provider).plan_for(operation)
        try:
            told = self.effective(name)
        except InvalidRequestError:
            return plan
        return PollPlan(
            first_seconds=told.poll_first_seconds or plan.first_seconds,
            factor=told.poll_factor or plan.factor,
            cap_seconds=told.poll_cap_seconds or plan.cap_seconds,
        )

    def poll_timing(self, name: AccountName, operation: str) -> PollTiming:
        """When to poll: by the plan and by what its jobs have taught, unless the account is not to learn."""
        plan = self.plan(name, operation)
        if not self._learns(name):
            return PollTiming(plan)
        self.learner.refresh(name)
        return self.learner.poll_timing(name, operation, plan)

    def learn(self, name: AccountName, ended: Iterable[Claimed], now: float) -> None:
        """Jobs that a poll at `now` found to have ended teach how long such jobs take."""
        if self._learns(name):
            self.learner.learn(name, ended, now)

    def _learns(self, name: AccountName) -> bool:
        try:
            return self.effective(name).poll_learn
        except InvalidRequestError:
            return False

    def deadline_seconds(self, name: AccountName, operation: str) -> float:
        return self.effective(name).deadline_seconds or find(name.provider).deadline_for(operation)

    def bulk_deadline_seconds(self, name: AccountName, operation: str) -> float:
        """The same for a row of a run, which was taken in wherever its run was begun: its submit says what is wrong."""
        try:
            return self.deadline_seconds(name, operation)
        except InvalidRequestError:
            return DEFAULT_DEADLINE_SECONDS

    def _limits(self, name: AccountName) -> Limits:
        try:
            told = self.effective(name)
        except InvalidRequestError:  # an account that was taken out of the settings still has its jobs mended
            return Limits()
        return Limits(told.max_in_flight, told.submits_per_second, told.polls_per_second)

    # What takes several hands

    def fetch(self, media: Media, name: AccountName) -> Fetched:
        """Download or take one output, checked; raises `DownloadError` or `BadMediaError`."""
        hosts = self.effective(name).media_hosts
        work = download(self.http, media, max_bytes=self.settings.media.max_bytes, allowed_hosts=hosts)
        return self.event_loop.run(work)

    def inputs(self, request: GenerateRequest, operation: Operation, record: Record) -> dict[str, Upload]:
        """The pictures of a request in the form its operation wants; raises `InvalidRequestError`, `TryLaterError`."""
        assert operation.inputs is not None  # noqa: S101 - `Provider.check` refuses inputs where there is no form
        created = record.moment("created") or datetime.now(UTC)
        fetcher = InputFetcher(
            self.http,
            self.storage,
            max_bytes=self.settings.media.max_bytes,
            url_expires_seconds=INPUT_URL_SECONDS,
            allowed_hosts=self.effective(record.account).media_hosts,
        )

        def key_for(name: str) -> str:
            return object_key(record.job_id, f"inputs/{name}", created_at=created, prefix=request.output_prefix)

        return self.event_loop.run(fetcher.prepare(request.inputs, operation.inputs, key_for=key_for))

    def check_callback(self, request: GenerateRequest) -> None:
        """Refuse a callback that could never be sent, before anything is bought; raises `InvalidRequestError`."""
        told = self.settings.callbacks
        if request.callback_url is None:
            return
        if not secrets_of(told):
            raise InvalidRequestError(
                "callback_url: can't be signed here, BIDE_CALLBACKS__SECRET is not set; have it set, or leave "
                "callback_url out and wait for the result"
            )
        try:
            check_url(request.callback_url, allowed_hosts=told.allowed_hosts)
        except BadMediaError as error:
            raise InvalidRequestError(refused_address(error)) from None

    def close(self) -> None:
        """End what was opened; the process is stopping."""
        opened = vars(self)
        if "callback_sender" in opened:
            self.callback_sender.stop()
        if "leases" in opened:
            self.leases.stop()
        if "http" in opened:
            self.event_loop.run(self.http.aclose())
        if "event_loop" in opened:
            self.event_loop.stop()


_lock = threading.Lock()
_made: list[Toolbox] = []


def toolbox() -> Toolbox:
    """The toolbox of this process."""
    with _lock:
        if not _made:
            made = Toolbox(settings())
            # From Python 3.12 on two threads may make a cached property each: what there must be one of is made here.
            _ = made.event_loop, made.http, made.leases, made.dispatcher, made.callback_sender, made.learner
            _made.append(made)
        return _made[0]


def close_toolbox() -> None:
    """Close the process's toolbox, if it was made."""
    with _lock:
        while _made:
            _made.pop().close()


def check_providers(told: Settings) -> None:
    """Raise `ConfigurationError` for settings of providers that are not installed."""
    unknown = sorted(set(told.providers) - set(installed()))
    if unknown:
        known = ", ".join(sorted(installed()))
        names = ", ".join(f"BIDE_PROVIDERS__{name.upper()}__..." for name in unknown)
        raise ConfigurationError(f"{names}: no such provider is installed; there are {known}")


def hooks_of(told: HookSettings, name: AccountName) -> Hooks | None:
    """Where providers may call about an account's jobs; None where no endpoint is set up."""
    if told.url is None or told.secret is None:
        return None
    return Hooks(told.url, told.secret.get_secret_value(), *name)


def _timing(told: Settings) -> Timing:
    timing = told.timing
    return replace(
        Timing(),
        lease_seconds=timing.lease_seconds,
        hint_seconds=1.5 * timing.lease_seconds,
        claim_seconds=timing.lease_seconds,
        retention_seconds=timing.retention_days * 24 * 3600,
    )


def _http_options(told: Settings) -> HttpOptions:
    timing, media = told.timing, told.media
    connect_, read = timing.connect_timeout_seconds, timing.read_timeout_seconds
    return HttpOptions(
        api=Timeouts(connect_, read, 2 * read),
        purchase=Timeouts(connect_, timing.submit_timeout_seconds, timing.submit_timeout_seconds),
        media=Timeouts(connect_, read, media.download_seconds),
    )


def _lines(problems: ConfigurationProblems) -> str:
    return "; ".join(map(str, problems.problems))
