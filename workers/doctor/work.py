"""The work at hand: what is late, which accounts are paused, and what waits for a person."""

from __future__ import annotations

from collections.abc import Iterator

from celery import Celery
from kombu.exceptions import OperationalError

from bide.contract import QUEUES
from bide.ledger import AccountName
from bide.ledger.keys import prefix
from bide.money.budget_names import doubtful_names
from bide.providers import installed
from bide.settings.model import Settings
from config.budgets import load_for, names_of
from workers.doctor.findings import Finding, ok, problem, warning
from workers.services.sweeper import waiting
from workers.toolbox import Toolbox

#: From here on a queue's messages are a backlog.
BACKLOG = 1000

#: Polls that are late by this are a warning, by that a problem [seconds].
LATE_SECONDS, LATE_MOST_SECONDS = 15.0, 120.0


def check_queues(app: Celery) -> Iterator[Finding]:
    """How many messages wait in each queue."""
    try:
        with app.connection_for_read() as connection:
            counts = {queue: waiting(connection, queue) for queue in QUEUES}
    except (OperationalError, OSError) as error:
        yield problem("queues", f"the broker does not answer: {type(error).__name__}", "start it")
        return
    backlog = ", ".join(f"{number} in {queue}" for queue, number in counts.items() if number) or "none waits"
    if max(counts.values()) < BACKLOG:
        yield ok("queues", f"messages: {backlog}")
    else:
        yield warning("queues", f"a backlog of messages: {backlog}", "start more of the processes that serve them")


def check_budgets(settings: Settings, tools: Toolbox) -> Iterator[Finding]:
    """Whether each budget is for something that there is."""
    budgets = load_for(settings)
    doubts = list(doubtful_names(budgets, names_of(settings) | tools.ledger.books.names()))
    for name, words in doubts:
        yield warning("budgets", f"budget {name}: {words}", "correct the file of budgets, or let it be")
    if budgets and not doubts:
        yield ok("budgets", f"{len(budgets)}, each for what there is")


def check_work(settings: Settings, tools: Toolbox) -> Iterator[Finding]:
    """What the ledger says of each account."""
    for name in tools.ledger.accounts.names():
        yield from _check_account(settings, tools, name)


def _check_account(settings: Settings, tools: Toolbox, name: AccountName) -> Iterator[Finding]:
    counts, check = tools.ledger.accounts.count_clocks(name), f"jobs of {name}"
    live = {state: counts[state] for state in ("queued", "lease", "due") if counts[state]}
    under_way = ", ".join(f"{number} {_STATES[state]}" for state, number in live.items()) or "none under way"
    troubles = [*_paused(tools, name, counts["queued"]), *_late(settings, tools, name)]
    if live and name.provider not in installed():
        words = f"{under_way}, and no adapter or file of {name.provider} is here: they wait until it is back"
        troubles.append(warning(check, words, "put its file into config/providers, or install its package; restart"))
    if counts["unconfirmed"]:
        words = f"{counts['unconfirmed']} may have been bought: nobody knows, and nothing is done about it by itself"
        troubles.append(warning(check, words, "settle them with `bide unconfirmed`"))
    yield from troubles or [ok(check, under_way)]


_STATES = {"queued": "in line", "lease": "being submitted or stored", "due": "at the provider"}


def _paused(tools: Toolbox, name: AccountName, queued: int) -> Iterator[Finding]:
    stands, check = tools.ledger.accounts.state(name), f"account {name}"
    look = "look at the account at the provider: its key, its credit, its limits"
    if stands.paused:
        yield problem(check, f"{stands.trouble}; {queued} jobs wait", f"{look}; then `bide resume {' '.join(name)}`")
    elif stands.troubles:
        yield warning(check, f"{stands.troubles}; {queued} jobs wait", look)


def _late(settings: Settings, tools: Toolbox, name: AccountName) -> Iterator[Finding]:
    """Jobs whose time came and passed: polls that nobody makes, and leases that nobody takes back."""
    server = tools.ledger.server
    now = server.time()[0]
    earliest = {clock: server.zrange(prefix(name) + clock, 0, 0, withscores=True) for clock in ("due", "lease")}
    late = {clock: now - float(found[0][1]) for clock, found in earliest.items() if found}
    polls = late.get("due", 0.0)
    if polls >= LATE_SECONDS:
        say = problem if polls >= LATE_MOST_SECONDS else warning
        remedy = "start a poller (the line poller of the Procfile), or more of them"
        yield say(f"polls of {name}", f"the earliest is {polls:.0f} s late", remedy)
    if late.get("lease", 0.0) >= 4 * settings.timing.sweep_seconds + settings.timing.lease_seconds:
        words = f"a lease ran out {late['lease']:.0f} s ago, and nobody took the job up"
        yield problem(f"sweep of {name}", words, "start a worker, and look for sweeper.broke in the workers' logs")
