"""Wires the settings and the Celery app to the services of a process, and does nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial

from celery import Celery

from bide.bulk.runs import Runs
from bide.cli.connection import check_answers
from bide.ledger import Ledger, Timing
from bide.ledger.connection import connect, end_soon
from bide.ledger.identity import KnownLedger, deployment_of, ledger_object_key
from bide.ledger.safety import DISK, Safety
from bide.receipts import folder
from bide.settings.model import Settings
from bide.settings.prices import quotes_of
from bide.storage import Storage
from workers.accounts import Accounts, row_lane
from workers.bulk.feeder import Feeder
from workers.bulk.finish import finish
from workers.io.http import HttpClient, HttpOptions, Timeouts
from workers.io.names import OwnThreads
from workers.io.store_options import probe_options, storage_options
from workers.services.answer_check import AnswerCheck
from workers.services.budgets import Budgets
from workers.services.callback_sender import CallbackSender
from workers.services.cancel import Canceler
from workers.services.dispatcher import Dispatcher
from workers.services.event_loop import EventLoop
from workers.services.fetcher import Fetcher
from workers.services.learner import Learner
from workers.services.lease_keeper import LeaseKeeper
from workers.services.ledger_check import LedgerCheck
from workers.services.poll_timings import PollTimings
from workers.services.polls_in_hand import PollsInHand
from workers.services.receipt_writer import NoReceipts, ReceiptWriter
from workers.services.record_packer import RecordPacker
from workers.services.statements import StatementWriter
from workers.services.store_check import StoreCheck
from workers.services.sweeper import Sweeper

#: What is stopped when a process ends, in this order, as far as it was opened.
_STOPPED = (
    "sweeper",
    "statements",
    "callback_sender",
    "store_check",
    "ledger_check",
    "receipts",
    "leases",
    "record_packer",
)


class Toolbox:
    """What tasks reach for. `http` lives on the loop of `event_loop`, all else may be used from any thread.

    A service is made when it is first reached for. Object storage is connected to at its first use: by a poller never.
    """

    def __init__(self, settings: Settings, app: Celery) -> None:
        self.settings, self._app = settings, app
        self.accounts = Accounts(settings)
        timing = _ledger_timing(settings)
        server = connect(settings.ledger_url, sentinel_master=settings.sentinel_master)
        self.ledger = Ledger(server, limits=self.accounts.limits, timing=timing, safety=_safety(settings))

    @cached_property
    def event_loop(self) -> EventLoop:
        return EventLoop()

    @cached_property
    def http(self) -> HttpClient:
        return HttpClient(_http_options(self.settings), names=OwnThreads)

    @cached_property
    def storage(self) -> Storage:
        return Storage(storage_options(self.settings))

    @cached_property
    def store_check(self) -> StoreCheck:
        return StoreCheck(lambda: Storage(probe_options(self.settings)), on_return=self.storage.renew)

    @cached_property
    def answer_check(self) -> AnswerCheck:
        same = self.settings.result_url == self.settings.ledger_url  # another server has a safety of its own
        return AnswerCheck(self._app.backend, _safety(self.settings) if same else DISK)

    @cached_property
    def ledger_check(self) -> LedgerCheck:
        receipts = "" if self.settings.ledger.receipts == "off" else self.receipt_folder()
        return LedgerCheck(self.ledger, self.known_ledger, receipts=receipts)

    def known_ledger(self) -> KnownLedger:
        """What the object store knows of the ledger."""
        url, master = self.settings.ledger_url, self.settings.sentinel_master
        return KnownLedger(self.storage, url, sentinel_master=master)

    @cached_property
    def receipts(self) -> NoReceipts:
        ledger = self.settings.ledger
        if ledger.receipts == "off":
            return NoReceipts()
        storage = Storage(probe_options(self.settings))  # what does not answer soon keeps a submit back
        return ReceiptWriter(self.ledger, lambda: storage, self.receipt_folder, seconds=ledger.receipts_seconds)

    def receipt_folder(self) -> str:
        """Where the receipts of this ledger lie in the bucket."""
        return folder(ledger_object_key(self.settings.ledger_url, self.settings.sentinel_master))

    @cached_property
    def fetcher(self) -> Fetcher:
        return Fetcher(self.http, self.storage, self.event_loop, max_bytes=self.settings.media.max_bytes)

    @cached_property
    def runs(self) -> Runs:
        return Runs(self.ledger.server, retention_seconds=self.ledger.timing.retention_seconds)

    @cached_property
    def feeder(self) -> Feeder:
        return Feeder(
            self.runs,
            self.ledger,
            self.storage,
            deadline_seconds=self.accounts.row_deadline_seconds,
            lane=row_lane,
            send=self.dispatcher.send,
            stop=self.canceler.stop,
            finish=partial(finish, retention=self.accounts.retention),
        )

    @cached_property
    def leases(self) -> LeaseKeeper:
        return LeaseKeeper(self.ledger)

    @cached_property
    def record_packer(self) -> RecordPacker:
        return RecordPacker(self.ledger)

    @cached_property
    def poll_timings(self) -> PollTimings:
        return PollTimings(self.accounts, Learner(self.ledger))

    @cached_property
    def polls_in_hand(self) -> PollsInHand:
        return PollsInHand(self.http.options.max_connections)

    @cached_property
    def callback_sender(self) -> CallbackSender:
        return CallbackSender(self.ledger, self.http, self.event_loop, settings=self.settings.callbacks)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        return Dispatcher(self._app)

    @cached_property
    def canceler(self) -> Canceler:
        return Canceler(self.ledger, self.dispatcher)

    @cached_property
    def budgets(self) -> Budgets:
        return Budgets(self.settings)

    @cached_property
    def statements(self) -> StatementWriter:
        deployment = deployment_of(self.settings.ledger_url, sentinel_master=self.settings.sentinel_master)
        return StatementWriter(self.ledger, lambda: self.storage, deployment=deployment)

    @cached_property
    def sweeper(self) -> Sweeper:
        return Sweeper(
            self._app,
            self.ledger,
            self.runs,
            self.dispatcher,
            sweep_seconds=self.settings.timing.sweep_seconds,
            budgets=self.budgets.current,
            quotes=quotes_of(self.settings.providers),
        )

    def open(self) -> None:
        """Make what there must be one of: from Python 3.12 on two threads may make a cached property each."""
        _ = self.event_loop, self.http, self.leases, self.dispatcher, self.callback_sender, self.poll_timings
        _ = self.polls_in_hand, self.storage, self.store_check, self.ledger_check, self.answer_check
        _ = self.receipts
        self.budgets.load()

    def end_soon(self) -> None:
        """The process is to end: from now on a ledger that is away is not waited for long."""
        end_soon(self.ledger.server)

    def close(self) -> None:
        """End what was opened; the process is stopping."""
        opened = vars(self)
        for name in _STOPPED:
            if name in opened:
                opened[name].stop()
        if "http" in opened:
            self.event_loop.run(self.http.aclose())
        if "event_loop" in opened:
            self.event_loop.stop()


@contextmanager
def command_toolbox(settings: Settings, *, asks_ledger: bool = True) -> Iterator[Toolbox]:
    """The toolbox of a command, closed at its end. Its app has no broker: a command sends no message by it.

    Raises `ClickException` where the command `asks_ledger` and that does not answer, with its host and the reason.
    """
    if asks_ledger:
        check_answers(settings.ledger_url, settings.sentinel_master)
    tools = Toolbox(settings, Celery("bide", set_as_current=False))
    try:
        yield tools
    finally:
        tools.close()


def _ledger_timing(settings: Settings) -> Timing:
    timing = settings.timing
    return replace(
        Timing(),
        lease_seconds=timing.lease_seconds,
        hint_seconds=1.5 * timing.lease_seconds,
        claim_seconds=timing.lease_seconds,
        retention_seconds=timing.retention_days * 24 * 3600,
        packs=settings.records.pack,
    )


def _safety(settings: Settings) -> Safety:
    """How safe a write of the ledger has to be. The bound of the time is well below that of one answer of Redis."""
    ledger = settings.ledger
    return Safety(ledger.safe_replicas, ledger.safe_seconds) if ledger.safe == "replica" else DISK


def _http_options(settings: Settings) -> HttpOptions:
    timing, media = settings.timing, settings.media
    connect_, read = timing.connect_timeout_seconds, timing.read_timeout_seconds
    return HttpOptions(
        api=Timeouts(connect_, read, 2 * read),
        purchase=Timeouts(connect_, timing.submit_timeout_seconds, timing.submit_timeout_seconds),
        media=Timeouts(connect_, read, media.download_seconds),
    )
