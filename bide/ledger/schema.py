"""The ledger's schema: the fields of a job's record, its states, and the transitions between them.

The scripts write records; a test holds each script against these tables, and the state diagram of the documentation is
drawn from them. Times are in seconds; a moment is seconds since the epoch with three decimals. A script of a job or of
an account has the name of its file here; before another one stands its folder: `bulk/open`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

#: The states of a record: those of `bide.contract.JobState`, and `following` of a caller who waits for another's job.
STATES = (
    "queued",
    "submitting",
    "running",
    "storing",
    "unconfirmed",
    "succeeded",
    "failed",
    "canceled",
    "following",
)

#: Where a field may stand, for the fields of several states.
OWN = STATES[:-1]
EVERY = STATES
AT_PROVIDER = ("running",)

Kind = Literal["text", "moment", "seconds", "count", "flag", "json"]


@dataclass(frozen=True)
class Field:
    """One field of a record: its meaning, the scripts that write it, and the states in which it may stand.

    A script that only removes the field is no writer of it.
    """

    name: str
    kind: Kind
    meaning: str
    writers: str
    states: tuple[str, ...] = OWN


class Transition(NamedTuple):
    """A change of a job's state. `before` is '' where the record is new, `after` is '' where it is deleted."""

    before: str
    after: str
    scripts: str
    why: str


_ENDED = ("succeeded", "failed", "canceled", "unconfirmed")

#: Where a job may stand that is taken up after its ledger was lost; a canceled one besides.
_RECOVERED = ("submitting", "running", "storing", "succeeded", "failed", "unconfirmed")

#: What the scripts call on their way to an end, and so write its fields.
_ENDING = "step cancel conclude polled refused sweep give_up submitted take_back doubt"

#: Scripts that have a job go on at its fallback: the record of its next account is new, with what a record keeps.
_FALLING_BACK = " step conclude polled refused sweep"

#: Scripts that put a job in line.
_LINING_UP = "step bulk/open intend hold_back take_back conclude refused resubmit sweep"

#: Scripts that let a job go on as an earlier purchase of it.
_GOING_ON = "conclude refused sweep polled"

FIELDS = (
    # What the job is
    Field("v", "text", "version of the record's layout", "bulk/open displace" + _FALLING_BACK, EVERY),
    Field(
        "state",
        "text",
        "one of the states",
        "displace step bulk/open intend submitted attach " + _ENDING + " resubmit",
        EVERY,
    ),
    Field("op", "text", "operation of the request", "bulk/open" + _FALLING_BACK),
    Field("lane", "text", "what durations and breaker depend on within the operation", "step bulk/open intend"),
    Field("tenant", "text", "for whom the job is; absent for a job of no tenant", "bulk/open" + _FALLING_BACK),
    Field("fp", "text", "fingerprint of the request", "bulk/open displace" + _FALLING_BACK, EVERY),
    Field("created", "moment", "the record was written, at its first account", "bulk/open" + _FALLING_BACK),
    Field("allowed", "seconds", "how long the job may take", "bulk/open" + _FALLING_BACK),
    Field(
        "deadline",
        "moment",
        "the job ends in failure if it has not ended by then",
        "step bulk/open admit answered submitted intend wake hold_back take_back postpone callbacks/tried attach "
        "resubmit " + _GOING_ON,
    ),
    Field("bulk", "flag", "gives way to interactive jobs", "bulk/open" + _FALLING_BACK),
    Field(
        "resubmit",
        "flag",
        "an unconfirmed submit may be repeated (`on_unknown: resubmit`)",
        "bulk/open" + _FALLING_BACK,
    ),
    Field("idem", "text", "the key in Redis of the request's idempotency key", _FALLING_BACK),
    Field("by_client", "flag", "written by a client, who does not know the deadline of the settings", _FALLING_BACK),
    Field("run", "text", "the bulk run whose row the job is", "bulk/open" + _FALLING_BACK),
    Field(
        "leader",
        "text",
        "the job whose result this caller waits for",
        "displace" + _FALLING_BACK,
        ("following", "canceled"),
    ),
    # The accounts of a job with fallbacks
    Field("fallbacks", "count", "fallbacks that its request names", "bulk/open" + _FALLING_BACK),
    Field("fallback", "count", "the fallback at which the job is, from 1", _FALLING_BACK),
    Field("came", "moment", "the job went on at this account", _FALLING_BACK),
    Field("tried", "json", "the accounts that the job has left: when, why, what each made of it", _FALLING_BACK),
    Field("paid_before", "flag", "one of these accounts has charged, or may have", _FALLING_BACK),
    Field(
        "elsewhere",
        "text",
        "accounts that accepted the job after it had left them, or on a lost ledger, and their ids of it",
        "submitted displace",
    ),
    Field("unread", "flag", "its `job.json` could not be read by `bide recover`, which looks again", "recover"),
    # Its place in line, and the lease on its next step
    Field("place", "count", "place in line", _LINING_UP),
    Field("token", "text", "name of the lease on the running step, '' where no worker has one", "*"),
    Field("queue", "text", "queue of the message that leads to the next step", "*"),
    Field("hints", "count", "how often that message was sent again", "sweep"),
    Field("crashes", "count", "workers that died in the running step", "sweep"),
    Field("tries", "count", "how often the running step was put off", "postpone"),
    Field(
        "parked",
        "flag",
        "put off before it was bought; not in line meanwhile",
        "postpone intend" + _FALLING_BACK,
        ("queued", "canceled", "failed", "unconfirmed"),
    ),
    Field("over_budget", "text", "the budget that it waits for, out of line", "intend", ("queued",)),
    # The purchase
    Field("submits", "count", "submits that were begun", "intend"),
    Field("intended", "moment", "the last submit was begun", "intend"),
    Field("submitted", "moment", "the provider accepted", "submitted attach " + _GOING_ON),
    Field("pid", "text", "the provider's id of the job", "submitted attach " + _GOING_ON),
    Field(
        "other_pid",
        "text",
        "the provider's ids of further purchases of this job, joined by blanks",
        "submitted attach " + _GOING_ON,
    ),
    Field("base_url", "text", "the base URL where it is bought: later calls go there", "intend submitted " + _GOING_ON),
    Field("adapter", "text", "name and version of the adapter that buys it", "intend submitted " + _GOING_ON),
    Field("handle", "json", "what the adapter wants back with each later call", "submitted " + _GOING_ON),
    Field(
        "other_with",
        "json",
        "of further purchases: their handle, base URL and adapter, by the provider's id",
        "submitted",
    ),
    Field(
        "attached",
        "json",
        "the error of the unconfirmed job whose id at the provider an operator named, or the provider's list showed",
        "attach",
    ),
    Field(
        "doubt", "count", "the submit that may have been accepted and is made again", "conclude sweep resubmit refused"
    ),
    Field("again", "count", "unconfirmed submits that were repeated as the request allows", "conclude sweep refused"),
    Field("resubmitted", "count", "unconfirmed submits that were repeated by an operator", "resubmit conclude refused"),
    # The promise under which it is bought, and a doubt that settles itself
    Field(
        "contract",
        "text",
        "what its provider promises of a submit that comes again: `replay`, `reject` or `client_id`; `listing`: it is "
        "looked for on the provider's list",
        "intend",
    ),
    Field("free", "flag", "its operation costs nothing", "intend"),
    Field("submit_key", "text", "the key that went with the last submit, a UUID", "intend"),
    Field("submit_digest", "text", "digest of the request under that key, and of the account's secrets", "intend"),
    Field(
        "submit_until",
        "moment",
        "until when the same request may be sent again under that key; 0 where it may no more",
        "intend conclude submitted",
    ),
    Field("submit_signed", "moment", "as of when the addresses of inputs in that request are signed", "intend"),
    Field("submit_ends", "moment", "until when the last submit may be under way", "intend conclude"),
    Field("keyed", "count", "the last submit that went out under that key, or free", "intend"),
    Field("doubted", "count", "submits under that key that may have been accepted", "conclude sweep resubmit"),
    Field("doubted_last", "count", "the last of these submits", "conclude sweep"),
    Field("received", "flag", "the provider has surely had a request under that key", "conclude"),
    Field("key_new", "flag", "the request was sent again, and its key was new to the provider", "submitted"),
    Field("settling", "flag", "no worker has the job; what became of its submit is found out at its time", "*"),
    Field("settle_tries", "count", "how often that was tried, or put off", "conclude refused sweep take_back"),
    Field("absent", "count", "how often the provider surely had no job under the key", "intend"),
    Field(
        "evidence",
        "text",
        "what was found out about doubtful submits: a line of moment, kind of event, text for each",
        "intend conclude submitted refused sweep attach",
    ),
    Field("listed", "flag", "its id was found on the provider's list", "attach"),
    # Polls
    Field("polls", "count", "polls that were answered", "polled"),
    Field("polled", "moment", "the last poll was answered", "polled"),
    Field("ran", "moment", "the provider last reported the job as running", "polled poll_now"),
    Field("seen", "flag", "the provider has known the job at least once", "polled"),
    Field("estimate", "seconds", "the provider's estimate of the whole", "submitted"),
    Field("unknown_for", "seconds", "for how long the provider has not known the job", "polled", AT_PROVIDER),
    Field("empties", "count", "successes that came without a result", "polled"),
    Field("cursor", "text", "what the adapter wants back at the next poll", "polled"),
    Field("asking", "flag", "a poll is under way", "claim", AT_PROVIDER),
    Field(
        "called",
        "flag",
        "the provider's webhook, or a cancel, came while a poll was under way",
        "poll_now cancel",
        AT_PROVIDER,
    ),
    Field("fetching", "count", "polls whose result was there and could not be fetched", "polled"),
    Field("progress", "json", "how far the provider says that the job is; written where it changes", "polled"),
    Field(
        "cancel",
        "text",
        "why its provider is to stop it, and what the provider made of that",
        "cancel polled submitted attach " + _GOING_ON,
    ),
    Field("called_at", "moment", "the provider's webhook last came", "poll_now"),
    Field("calls", "count", "webhooks of the provider that led to a poll", "poll_now"),
    Field("cost", "text", "what the provider says that the job costs: amount and unit", "submitted polled"),
    # What it costs
    Field("price", "text", "of one purchase, in millionths of the currency; '' where none is known", "intend"),
    Field("currency", "text", "that of the price, and of the account's book", "intend"),
    Field("priced_by", "text", "who says the price: `settings`, `file` or `adapter`; '' for nobody", "intend"),
    Field(
        "booked",
        "text",
        "its purchases and what stands in the book for each, as `include/money.lua` writes them",
        "intend attach resubmit " + _ENDING,
    ),
    Field(
        "charge_unknown",
        "flag",
        "the job is over, and whether a submit of it was accepted is not known: it counts as spent",
        "intend attach resubmit " + _ENDING,
    ),
    # The result
    Field("ended", "moment", "the provider reported the result", "submitted polled"),
    Field(
        "outputs",
        "json",
        "the result's addresses: [role, address, fallback addresses ...] each; kept also where it was refused",
        "submitted polled conclude",
    ),
    Field("partial", "text", "what the provider left out of the result", "submitted polled"),
    Field("home", "json", "the outputs that are stored already, by their number", "postpone", ("storing",)),
    Field("asked", "count", "how often the provider was asked for fresh addresses", "postpone"),
    # The end
    Field("result", "json", "`contract.JobResult`", "conclude"),
    Field("error", "json", "`contract.Failure`", _ENDING),
    Field("finished", "moment", "the end was recorded", _ENDING),
    Field("answered", "flag", "the job's own caller knows the end", "answered sweep give_up", _ENDED),
    Field("given_up", "flag", "an operator gave the unconfirmed job up", "give_up", ("failed",)),
    Field(
        "settled",
        "text",
        "when an operator of a known name settled the unconfirmed job, how, and who: a line for each time",
        "attach resubmit give_up doubt",
    ),
    Field(
        "note",
        "text",
        "what last happened, for people",
        "conclude polled postpone refused take_back attach resubmit sweep give_up intend",
    ),
    Field("erased", "moment", "what it was asked and what it made was erased", "erase", ("canceled",)),
    # The callback
    Field("callback", "count", "ends of which the request's `callback_url` gets a callback", "bulk/open " + _ENDING),
    Field("callback_owed", "moment", "since when the last of these callbacks is owed", "callbacks/replay " + _ENDING),
    Field("callback_tries", "count", "attempts to deliver it", "callbacks/tried"),
    Field("callback_host", "text", "host and port of the receiver, where it had no place free", "callbacks/postpone"),
    Field("callback_note", "text", "what became of the last attempt", "callbacks/tried"),
    Field("collected", "flag", "a row whose record goes once its callback is delivered", "bulk/drop", _ENDED),
)

_TRANSITIONS = (
    Transition("", "queued", "bulk/open" + _FALLING_BACK, "a request is recorded, or a job goes on at its fallback"),
    Transition("", "canceled", "step recover", "the cancel came before the request, or before the ledger was lost"),
    *(Transition("", state, "recover", "what a lost ledger knew is taken up") for state in _RECOVERED),
    Transition("queued", "succeeded", "recover", "its result is there already, and the ledger was lost meanwhile"),
    Transition("queued", "following", "recover displace", "what it asks for was bought before the ledger was lost"),
    Transition("queued", "submitting", "intend recover", "the intent to buy is written"),
    Transition(
        "queued", "running", "submitted conclude refused sweep recover", "an earlier submit turns out to be accepted"
    ),
    Transition("queued", "storing", "submitted recover", "an earlier submit turns out to have made the result"),
    Transition("queued", "failed", "conclude sweep recover", "the request can't be served, or its deadline passed"),
    Transition(
        "queued",
        "unconfirmed",
        "conclude sweep cancel submitted doubt recover",
        "it is over, or its ledger went back, and an earlier submit may have been accepted",
    ),
    Transition("queued", "canceled", "cancel recover", "a cancel"),
    Transition(
        "queued",
        "",
        "bulk/recall" + _FALLING_BACK,
        "a row is taken back by its paused or canceled run, or a job goes on at its fallback",
    ),
    Transition("submitting", "", "conclude refused", "surely not accepted: the job goes on at its fallback"),
    Transition("running", "", "polled", "it has failed there, and goes on at its fallback"),
    Transition("storing", "", "conclude", "its result can't be had, and it goes on at its fallback"),
    Transition("following", "", "conclude polled refused step sweep", "it goes where the job has gone that it follows"),
    Transition(
        "",
        "following",
        "conclude polled refused sweep step displace",
        "the request's idempotency key belongs to a job that is under way",
    ),
    Transition(
        "submitting",
        "running",
        "submitted conclude refused sweep attach",
        "the provider accepted, or an operator or its list says so",
    ),
    Transition("submitting", "storing", "submitted", "the provider answered with the result"),
    Transition(
        "submitting",
        "queued",
        "refused take_back conclude sweep resubmit intend",
        "surely not accepted or not sent, or the request or an operator allows a second purchase",
    ),
    Transition(
        "submitting",
        "failed",
        "conclude refused take_back sweep give_up",
        "the provider refused, or it is free and no answer came, or an operator gives it up",
    ),
    Transition(
        "submitting",
        "unconfirmed",
        "conclude sweep refused submitted take_back",
        "the submit may have been accepted, and no promise of its provider settles it",
    ),
    Transition(
        "submitting", "canceled", "cancel refused take_back conclude sweep", "a cancel; a canceled submit is refused"
    ),
    Transition("running", "storing", "polled", "the provider reports the result"),
    Transition("running", "failed", "polled", "the provider reports a failure, or the deadline passed"),
    Transition("running", "unconfirmed", "polled", "the provider does not know the id that an operator attached"),
    Transition("running", "canceled", "cancel polled", "a cancel; by a poll where the provider was asked to stop it"),
    Transition("storing", "succeeded", "conclude", "all objects are stored"),
    Transition("storing", "failed", "conclude sweep", "the result can't be had, or its step killed three workers"),
    Transition("storing", "canceled", "cancel", "a cancel"),
    Transition("unconfirmed", "running", "attach submitted conclude refused", "the submit turns out to be accepted"),
    Transition("unconfirmed", "storing", "submitted", "the submit turns out to have made the result"),
    Transition(
        "unconfirmed", "queued", "resubmit refused", "it turns out to be refused, or an operator has it submitted again"
    ),
    Transition(
        "unconfirmed", "failed", "give_up conclude refused", "it turns out to be refused, or an operator gives it up"
    ),
    Transition(
        "unconfirmed", "canceled", "cancel refused conclude", "a cancel; a canceled submit turns out to be refused"
    ),
    Transition("succeeded", "canceled", "erase", "it is erased: a small record stays in its place"),
    Transition("failed", "canceled", "erase", "it is erased: a small record stays in its place"),
    Transition("following", "canceled", "cancel", "this caller cancels; the job goes on for the others"),
    Transition("succeeded", "", "bulk/drop callbacks/tried", "a row's record is dropped once its run has the result"),
    Transition("failed", "", "bulk/drop callbacks/tried", "a row's record is dropped once its run has the result"),
    Transition("canceled", "", "bulk/drop callbacks/tried", "a row's record is dropped once its run has the result"),
)

#: What gives way to the record of a lost ledger, and what comes in its place at the same account, or at another.
_GIVING_WAY = ("queued", "submitting", "running", "storing", "unconfirmed", "failed", "following")
_IN_ITS_PLACE = {**dict.fromkeys((*_RECOVERED, "canceled"), "recover"), "": "displace"}


def _with_recovery(table: tuple[Transition, ...]) -> tuple[Transition, ...]:
    """The table with the transitions by which a record gives way."""
    pairs = {
        (before, after): script for before in _GIVING_WAY for after, script in _IN_ITS_PLACE.items() if before != after
    }
    known = {(one.before, one.after) for one in table}
    why = "it was bought, and this ledger had lost that"
    return (
        *(
            one._replace(scripts=" ".join(dict.fromkeys(f"{one.scripts} {pairs.get(one[:2], '')}".split())))
            for one in table
        ),
        *(Transition(*pair, script, why) for pair, script in pairs.items() if pair not in known),
    )


TRANSITIONS = _with_recovery(_TRANSITIONS)


def diagram() -> str:
    """The states and transitions in Mermaid, without those to `canceled`: any live job may be canceled.

    Those by which a lost ledger is made again are left out, too.
    """
    shown = [one for one in TRANSITIONS if one.after not in ("", "canceled") and _drawn(one)]
    drawn = [f"    [*] --> {one.after}" for one in shown if not one.before]
    drawn += [f"    {one.before} --> {one.after}: {', '.join(_drawn(one))}" for one in shown if one.before]
    drawn += [f"    {state} --> [*]" for state in ("succeeded", "failed", "canceled")]
    return "\n".join(["stateDiagram-v2", *drawn])


def _drawn(transition: Transition) -> list[str]:
    """The scripts that the diagram names at an arrow."""
    return [script for script in transition.scripts.split() if script not in ("recover", "displace")]
