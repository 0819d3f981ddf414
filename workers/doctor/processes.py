"""The processes: whether each queue is served with these settings, whether work is swept, who may see Flower."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from celery import Celery

from bide.contract import POLL_QUEUE, QUEUES, SUBMIT_QUEUE
from bide.ledger.identity import REMEDY, mismatch, read_state
from bide.ledger.keys import prefix
from bide.ledger.processes import running
from bide.receipts import any_since
from bide.settings.model import Settings
from workers.doctor.findings import Finding, ok, problem, warning
from workers.services.sweeper import LOCK_KEY
from workers.toolbox import Toolbox

#: How long workers may take to answer a broadcast, and Flower a request [seconds].
ANSWER_SECONDS = 3.0

#: Settings of the transport that must be the same in all processes that share the broker.
SHARED = ("visibility_timeout", "unacked_mutex_expire")

#: How Flower says no: by a refusal, or by sending the stranger to a page to log in on.
CLOSED = {301, 302, 303, 307, 401, 403}

#: What a stranger must not see; without a password Flower closes its API by itself, and shows its pages.
PAGES = ("/workers", "/api/workers")

_LOCAL = ("localhost", "127.0.0.1", "::1")


def check_workers(app: Celery) -> Iterator[Finding]:
    """Every queue has a consumer that answers, and the consumers agree with one another and with us."""
    served = _queues(app)
    for queue in QUEUES:
        nodes = sorted(node for node, queues in served.items() if queue in queues)
        if nodes:
            yield ok(queue, f"served by {', '.join(nodes)}")
        else:
            kind = "poller" if queue == POLL_QUEUE else "worker"
            yield problem(queue, "no process takes its messages", f"start a {kind} (the line {kind} of the Procfile)")
    if served:
        yield from _check_agreement(app, len(served))


def _queues(app: Celery) -> dict[str, set[str]]:
    """Which queues each of the workers that answer consumes."""
    answers: Mapping[str, Any] = app.control.inspect(timeout=ANSWER_SECONDS).active_queues() or {}
    return {node: {queue["name"] for queue in queues} for node, queues in answers.items()}


def _check_agreement(app: Celery, nodes: int) -> Iterator[Finding]:
    answers: Mapping[str, Any] = app.control.inspect(timeout=ANSWER_SECONDS, limit=nodes).conf() or {}
    ours = app.conf.broker_transport_options
    odd = {
        node: f"{name} {theirs.get(name)} instead of {ours[name]}"
        for node, conf in answers.items()
        for name in SHARED
        if name in ours and (theirs := conf.get("broker_transport_options", {})).get(name) != ours[name]
    }
    if odd:
        yield problem(
            "timeouts",
            "; ".join(f"{node} has {words}" for node, words in sorted(odd.items())),
            "give all processes one environment and restart them: the shortest visibility timeout rules them all",
        )
    elif "visibility_timeout" in ours:
        seconds, mutex = ours["visibility_timeout"], ours["unacked_mutex_expire"]
        yield ok("timeouts", f"agree in all processes: visibility {seconds} s, mutex of redelivery {mutex} s")


def check_worker_stores(tools: Toolbox) -> Iterator[Finding]:
    """The workers' own tests of the object store: they may have other keys and settings than this command."""
    workers = [process for process in running(tools.ledger.server) if SUBMIT_QUEUE in process.queues]
    refusing = [process for process in workers if process.store_refusal]
    for process in refusing:
        words = f"nothing is submitted: {process.store_refusal}"
        remedy = "mend the object store as shown above; if that is well here, give this worker the same variables"
        yield problem(f"store of {process.node}", words, remedy)
    if workers and not refusing:
        yield ok("stores of workers", f"take test objects of {', '.join(process.node for process in workers)}")


def check_ledger(tools: Toolbox) -> Iterator[Finding]:
    """Whether the ledger is the one that it was: workers buy nothing on another one."""
    found, known = read_state(tools.ledger.server), tools.known_ledger().read()
    if known.id and (why := mismatch(found, known)):
        yield problem("ledger", f"nothing is submitted: {why}{_receipts(tools)}", REMEDY)
    elif known.id:
        yield ok("ledger", f"it is the one that it was: {found.id}")
    else:
        yield ok("ledger", "it is new: the first worker gives it an id, and keeps that in the bucket, too")


def _receipts(tools: Toolbox) -> str:
    """Whether the bucket knows what the lost ledger had bought."""
    since = datetime.now(UTC) - timedelta(seconds=tools.ledger.timing.retention_seconds)
    there = any_since(tools.storage, tools.receipt_folder(), since=since)
    return "; the bucket has receipts of what was bought: `bide recover`" if there else ""


def check_sweep(settings: Settings, tools: Toolbox) -> Iterator[Finding]:
    """Some process sweeps: nothing else finds what was lost."""
    ledger, most = tools.ledger, 3 * settings.timing.sweep_seconds
    if not ledger.server.exists(LOCK_KEY):
        remedy = "start a worker, and look for sweeper.broke in the workers' logs"
        yield problem("sweep", "no process sweeps after lost work", remedy)
        return
    now = ledger.server.time()[0]
    sweeps = {name: ledger.server.hget(f"{prefix(name)}account", "swept_at") for name in ledger.accounts.names()}
    ages = {str(name): max(0.0, now - float(at)) for name, at in sweeps.items() if at}
    late = {name: age for name, age in ages.items() if age > most}
    if late:
        words = ", ".join(f"{name} {age:.0f} s ago" for name, age in sorted(late.items()))
        yield problem("sweep", f"last looked after: {words}", "look for sweeper.account_broke in the workers' logs")
    else:
        last = f"the last one {max(ages.values()):.1f} s ago" if ages else "no account has had a job yet"
        yield ok("sweep", f"a process sweeps after lost work; {last}")


def check_flower(settings: Settings, url: str | None) -> Iterator[Finding]:
    """Flower must not stand open: who sees it sees prompts, and can stop every worker. `url` wins over the settings."""
    flower = settings.flower
    address = url or flower.url or f"http://{_reachable(flower.address)}:{flower.port}"
    try:
        asked = {_ask(address.rstrip("/") + path) for path in PAGES}
    except (OSError, ValueError) as error:
        words = f"does not answer at {address}: {type(error).__name__}"
        remedy = "start it (the line flower of the Procfile), or set BIDE_FLOWER__URL to where it stands"
        yield warning("flower", words, remedy)
        return
    if asked <= CLOSED:
        yield ok("flower", f"asks who is there at {address}")
    elif 200 in asked:
        local = urlsplit(address).hostname in _LOCAL
        say = warning if local else problem
        where = "to everybody on this machine" if local else "to everybody who reaches it"
        yield say("flower", f"stands open {where}, at {address}", "set BIDE_FLOWER__USER and BIDE_FLOWER__PASSWORD")
    else:
        yield warning("flower", f"answers with HTTP {asked.pop()} at {address}", "look at its log")


def _reachable(address: str) -> str:
    return "127.0.0.1" if address in ("", "0.0.0.0", "::") else address  # noqa: S104 - compared with, not listened on


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _ask(url: str) -> int:
    """The status of the answer to a stranger, with no proxy on the way and no redirect followed."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("not a web address")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(url, timeout=ANSWER_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
