"""The ledger's contract about tenants: they take turns in an account's line, each within its caps."""

from __future__ import annotations

from typing import Any

import pytest

from bide.bulk.names import job_id, run_prefix
from bide.bulk.runs import Runs
from bide.bulk.scripts import OpenedRow
from bide.ledger import Limits, Verb
from bide.ledger.keys import prefix
from bide.ledger.tenants import TenantCaps, caps_text
from tests.contract.ledger_contract_lanes import accept, accepted, arrive, refuse
from tests.contract.ledger_stage import ACCOUNT, Crew, Stage, request_of, taken

AT = prefix(ACCOUNT)

#: The keys of tenants that are gone once none has a job under way.
KEYS = ("tenants", "turns:0", "turns:1", "capped", "places")


def open_jobs(stage: Stage, tenant: str | None, names: str | list[str], **changes: Any) -> None:
    """New jobs of a tenant in line."""
    for name in names:
        stage.open(name, tenant=tenant, **changes)


def flood(stage: Stage, tenant: str | None, number: int, **changes: Any) -> list[str]:
    """So many new jobs of a tenant in line."""
    names = [f"{tenant or 'none'}{each}" for each in range(number)]
    open_jobs(stage, tenant, names, **changes)
    return names


def let_in(stage: Stage, most: int = 200) -> list[str]:
    """The jobs that the line lets in now."""
    return [hint.job_id for hint in stage.ledger.accounts.admit(ACCOUNT, most=most).hints]


def letters(stage: Stage, number: int) -> str:
    """The first letters of the jobs that are let in next."""
    return "".join(name[0] for name in let_in(stage, most=number))


def cap(stage: Stage, caps: dict[str, TenantCaps], **limits: Any) -> None:
    """Workers whose settings have caps; the sweeper brings them."""
    stage.limits[ACCOUNT] = Limits(**limits, tenant_caps=caps_text(caps))
    stage.ledger.accounts.sweep(ACCOUNT)


def open_rows(stage: Stage, run_id: str, rows: range, tenant: str = "") -> None:
    """Rows of a run, claimed and then put in line."""
    request, claimed = request_of(priority="bulk", tenant=tenant or None), "c 0 1 0 photogpt/default"
    for row in rows:
        stage.server.hset(f"{run_prefix(run_id)}live", str(row), claimed)
    opened = [
        OpenedRow(
            row=str(row),
            live=claimed,
            id=job_id(run_id, row),
            request=request.to_json(),
            signature="{}",
            operation=request.operation,
            allowed_seconds="600",
            fingerprint=request.fingerprint(),
            tenant=tenant,
        )
        for row in rows
    ]
    assert Runs(stage.server).open(run_id, ACCOUNT, opened) == len(rows)


class TenantsContract:
    """Tenants share the turns of an account; within a tenant first come is first served."""

    def test_a_record_has_its_tenant(self, stage: Stage) -> None:
        """Whether a client or a worker's message opens it; a job without one has no such field."""
        stage.open("a", tenant="acme")
        stage.arrive("b", tenant="acme")
        stage.open("c")
        assert [stage.field(name, "tenant") for name in "abc"] == ["acme", "acme", ""]
        assert stage.server.hexists(f"{AT}job:c", "tenant") == 0

    # Turns

    def test_tenants_take_turns(self, stage: Stage) -> None:
        """Each in its own order, whoever came first and with how many."""
        open_jobs(stage, "x", ["x1", "x2", "x3", "x4"])
        open_jobs(stage, "y", ["y1", "y2"])
        open_jobs(stage, None, ["n1", "n2"])
        found = let_in(stage)
        assert [name[0] for name in found[:6]].count("x") == 2
        assert found[6:] == ["x3", "x4"]
        for tenant in "xyn":
            assert [name for name in found if name[0] == tenant] == sorted(name for name in found if name[0] == tenant)

    def test_a_single_job_behind_a_flood_is_let_in_at_once(self, stage: Stage) -> None:
        """It waits for one turn of the other tenant at most, also where jobs of no tenant are the flood."""
        flood(stage, "acme", 30)
        flood(stage, None, 15)
        assert letters(stage, 10).count("a") == 5
        stage.open("single", tenant="umbra")
        assert "s" in letters(stage, 3)

    def test_five_tenants_have_the_same_share(self, stage: Stage) -> None:
        """Jain's index over what each got is 1, although one has ten times the jobs of the others."""
        flood(stage, "a", 40)
        for tenant in "bcde":
            flood(stage, tenant, 6)
        found = letters(stage, 25)
        shares = [found.count(tenant) for tenant in "abcde"]
        jain = sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))
        assert jain > 0.999, shares

    def test_turns_go_by_weight(self, stage: Stage) -> None:
        """A tenant of weight 3 has three turns for each of the other."""
        cap(stage, {"h": TenantCaps(weight=3)})
        flood(stage, "h", 18)
        flood(stage, "l", 10)
        assert letters(stage, 20).count("h") == 15

    def test_an_idle_tenant_saves_no_turns(self, stage: Stage) -> None:
        """Who comes back after a long time has its share from then on, and no more."""
        open_jobs(stage, "b", ["b"])
        flood(stage, "a", 30)
        assert letters(stage, 16).count("a") == 15
        flood(stage, "b", 8)
        assert letters(stage, 10).count("b") in (5, 6)

    def test_a_tenant_that_sends_one_by_one_has_its_share_too(self, stage: Stage) -> None:
        """A new job in an empty line comes next; it can't come twice before others have come once."""
        flood(stage, "a", 10)
        got = ""
        for number in range(12):
            stage.open(f"b{number}", tenant="b")
            got += letters(stage, 1)
        assert 5 <= got.count("b") <= 7, got

    def test_bulk_gives_way_to_interactive_of_any_tenant(self, stage: Stage) -> None:
        """Fairness holds within each kind."""
        open_jobs(stage, "a", ["A1", "A2"], priority="bulk")
        open_jobs(stage, "b", ["B1"], priority="bulk")
        open_jobs(stage, "a", ["a1", "a2"])
        open_jobs(stage, None, ["n1"])
        found = let_in(stage)
        assert {*found[:3]} == {"a1", "a2", "n1"}
        assert found[3:] in (["A1", "B1", "A2"], ["B1", "A1", "A2"])

    def test_rows_of_runs_take_turns_within_their_tenant(self, stage: Stage) -> None:
        """Tenants share the turns; the runs of a tenant share its own."""
        stage.clock.now = float(stage.server.time()[0])
        open_rows(stage, "big", range(1, 9), "acme")
        open_rows(stage, "other", range(1, 5), "umbra")
        assert sorted(let_in(stage, most=4)) == ["big.1", "big.2", "other.1", "other.2"]
        open_rows(stage, "small", range(1, 3), "acme")
        open_rows(stage, "big", range(9, 10), "acme")
        found = [name for name in let_in(stage) if not name.startswith("other")]
        assert set(found[:4]) == {"big.3", "big.4", "small.1", "small.2"}

    def test_a_message_does_not_overtake_the_turns(self, stage: Stage) -> None:
        """The order of turns decides who is let in, not the order of messages."""
        open_jobs(stage, "a", ["a1", "a2", "a3"])
        open_jobs(stage, "b", ["b1"])
        stage.limits[ACCOUNT] = Limits(max_in_flight=2)
        assert stage.resume("a2").verb is Verb.WAIT
        assert [stage.resume(name).verb for name in ("a1", "a2", "b1")] == [Verb.SUBMIT, Verb.WAIT, Verb.SUBMIT]

    def test_what_goes_back_in_line_is_still_its_tenants(self, stage: Stage) -> None:
        """A job that was refused stands in the line of its tenant again, behind others of it."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=5)
        record, token, attempt = stage.submitting("a1", tenant="a")
        open_jobs(stage, "a", ["a2"])
        open_jobs(stage, "b", ["b1"])
        stage.ledger.submits.refused(record, token, attempt=attempt, reason="HTTP 429", after_seconds=1)
        stage.clock.advance(2)
        [first] = let_in(stage)
        assert first in ("a2", "b1")
        assert stage.server.zcard(f"{AT}queued") == 2

    # Caps

    def test_a_tenant_at_its_cap_blocks_no_other(self, stage: Stage) -> None:
        """It is passed over, and goes on by itself when one of its places becomes free."""
        cap(stage, {"a": TenantCaps(max_in_flight=2)}, max_in_flight=10)
        flood(stage, "a", 6)
        flood(stage, "b", 3)
        assert sorted(let_in(stage)) == ["a0", "a1", "b0", "b1", "b2"]
        assert stage.ledger.accounts.sweep(ACCOUNT)[0].round is None, "nothing is to be done until a place is free"
        assert let_in(stage) == []
        stage.ledger.jobs.cancel(ACCOUNT, "b0")
        assert let_in(stage) == []
        stage.ledger.jobs.cancel(ACCOUNT, "a0")
        assert let_in(stage) == ["a2"]
        assert stage.server.hgetall(f"{AT}places") == {"a": "2", "b": "2"}

    def test_a_freed_place_calls_a_round(self, stage: Stage) -> None:
        """A job that ends at a poll lets the next of its tenant in, within a second."""
        cap(stage, {"*": TenantCaps(max_in_flight=1)}, max_in_flight=10)
        crew = Crew(stage.ledger, stage.clock)
        crew.send(stage.running("a0", first_poll_seconds=0, tenant="a"))
        open_jobs(stage, "a", ["a1"])
        assert let_in(stage) == []
        for _ in range(3):
            crew.work()
            stage.clock.advance(0.4)
        assert stage.state("a0") == "succeeded"
        assert stage.state("a1") == "running"

    def test_a_message_of_a_tenant_at_its_cap_waits(self, stage: Stage) -> None:
        """A new job of it, too, although the account has room; `*` is for each tenant that is not named."""
        cap(stage, {"*": TenantCaps(max_in_flight=1), "vip": TenantCaps()})
        for tenant, verbs in (("a", [Verb.SUBMIT, Verb.WAIT]), ("b", [Verb.SUBMIT, Verb.WAIT])):
            assert [stage.arrive(f"{tenant}{number}", tenant=tenant).verb for number in (1, 2)] == verbs
        assert [stage.arrive(f"v{number}", tenant="vip").verb for number in (1, 2)] == [Verb.SUBMIT] * 2
        assert [stage.arrive(f"n{number}").verb for number in (1, 2)] == [Verb.SUBMIT] * 2, "of no tenant"

    def test_a_rate_of_a_tenant_is_kept(self, stage: Stage) -> None:
        """A round is due when its next submit is; others go on meanwhile."""
        cap(stage, {"a": TenantCaps(submits_per_second=2)})
        flood(stage, "a", 5)
        flood(stage, "b", 3)
        messages = stage.ledger.accounts.admit(ACCOUNT)
        assert sorted(hint.job_id for hint in messages.hints) == ["a0", "a1", "b0", "b1", "b2"]
        assert messages.round is not None
        assert messages.round.countdown_seconds == pytest.approx(0.5, abs=0.01)
        for number in (2, 3, 4):
            stage.clock.advance(0.5)
            assert let_in(stage) == [f"a{number}"]
        assert stage.arrive("late", tenant="a").verb is Verb.WAIT
        stage.clock.advance(10)
        assert stage.arrive("later", tenant="b").verb is Verb.SUBMIT
        assert stage.server.zcard(f"{AT}rates") == 1, "an idle tenant's rate is forgotten as soon as another is booked"

    def test_a_message_at_its_rate_gets_a_round(self, stage: Stage) -> None:
        """What waits for its rate alone is looked at in time."""
        cap(stage, {"a": TenantCaps(submits_per_second=0.5)})
        assert stage.arrive("a1", tenant="a").verb is Verb.SUBMIT
        waits = stage.arrive("a2", tenant="a")
        assert (waits.verb, waits.round and round(waits.round.countdown_seconds, 2)) == (Verb.WAIT, 2.0)
        stage.clock.advance(2)
        assert stage.resume("a2").verb is Verb.SUBMIT

    def test_a_tenant_at_its_cap_comes_back_without_a_store_of_turns(self, stage: Stage) -> None:
        """After a long time at its cap it shares from then on; and its quick places gain it no turn of another."""
        cap(stage, {"a": TenantCaps(max_in_flight=1)}, max_in_flight=200)
        flood(stage, "a", 16)
        flood(stage, "b", 30)
        assert letters(stage, 21).count("a") == 1
        cap(stage, {}, max_in_flight=200)
        assert letters(stage, 12).count("a") in (6, 7)

    def test_a_tenant_whose_places_free_quickly_has_no_more_than_its_share(self, stage: Stage) -> None:
        """Each of its ends opens its line; the turns stay shared."""
        cap(stage, {"a": TenantCaps(max_in_flight=1)}, max_in_flight=3)
        flood(stage, "a", 12)
        flood(stage, "b", 12)
        under_way, got = let_in(stage), ""
        for _ in range(12):
            ended = next((name for name in under_way if name[0] == "a"), under_way[0])
            under_way.remove(ended)
            stage.ledger.jobs.cancel(ACCOUNT, ended)
            new = let_in(stage)
            under_way += new
            got += "".join(name[0] for name in new)
        assert 5 <= got.count("b") <= 7, got

    def test_changed_caps_count_from_the_next_sweep(self, stage: Stage) -> None:
        """A raised cap lets jobs in, a cap that is taken away as well, and the account's record says what holds."""
        cap(stage, {"a": TenantCaps(max_in_flight=1)})
        flood(stage, "a", 5)
        assert let_in(stage) == ["a0"]
        cap(stage, {"a": TenantCaps(max_in_flight=2)})
        assert let_in(stage) == ["a1"]
        assert stage.server.hget(f"{AT}account", "tenants") == "\na 2 0 1\n"
        cap(stage, {})
        assert let_in(stage) == ["a2", "a3", "a4"]
        assert stage.server.hexists(f"{AT}account", "tenants") == 0

    # Beside lanes, pauses, breakers, other versions and releases

    def test_a_broken_lane_of_one_tenant_stands_in_no_ones_way(self, stage: Stage) -> None:
        """Its other lanes and the other tenants go on; once it is well it has its share, and no store of turns."""
        refuse(stage, "first", "broken", after_seconds=30)
        stage.limits[ACCOUNT] = Limits(max_in_flight=0)
        for number in range(12):
            arrive(stage, f"x{number}", "broken", tenant="a")
        arrive(stage, "fine", "fine", tenant="a")
        for number in range(20):
            arrive(stage, f"b{number}", "other", tenant="b")
        stage.limits[ACCOUNT] = Limits()
        assert sorted(let_in(stage, most=10)) == sorted(["fine", *(f"b{number}" for number in range(9))])
        stage.ledger.accounts.resume(ACCOUNT)
        stage.ledger.jobs.cancel(ACCOUNT, "first")
        assert letters(stage, 12).count("x") in (6, 7)

    def test_a_lane_finds_out_with_a_job_of_any_tenant(self, stage: Stage) -> None:
        """One goes ahead, the others of the lane wait for it, whosever they are."""
        refuse(stage, "first", "broken", after_seconds=5)
        for name, tenant in (("a1", "a"), ("b1", "b")):
            assert arrive(stage, name, "broken", tenant=tenant).verb is Verb.WAIT
        stage.clock.advance(6)
        [ahead] = let_in(stage)
        assert let_in(stage) == []
        record = taken(stage.resume(ahead, token="t"), Verb.SUBMIT)
        assert stage.ledger.submits.intend(record, "t", lane="broken") > 0
        assert len(accepted(stage, record, "t").hints) == 2

    def test_a_paused_account_lets_no_tenant_in(self, stage: Stage) -> None:
        """Nor does an open breaker; after it the tenants go on."""
        flood(stage, "a", 2)
        stage.ledger.accounts.pause(ACCOUNT, reason="no credit", by="operator")
        messages = stage.ledger.accounts.admit(ACCOUNT)
        assert (messages.hints, messages.round) == ((), None)
        stage.ledger.accounts.resume(ACCOUNT)
        stage.ledger.accounts.block_submits(ACCOUNT, seconds=5, reason="HTTP 503")
        assert let_in(stage) == []
        stage.clock.advance(6)
        assert let_in(stage) == ["a0"]

    def test_records_of_another_version_are_set_aside_in_their_own_line(self, stage: Stage) -> None:
        """They keep no other job of the tenant back, and their own version finds them in their order."""
        flood(stage, "a", 4)
        for name in ("a0", "a1"):
            stage.server.hset(f"{AT}job:{name}", "v", "99")
        assert let_in(stage) == ["a2", "a3"]
        assert stage.ledger.accounts.admit(ACCOUNT).round is None
        for name in ("a0", "a1"):
            stage.server.hset(f"{AT}job:{name}", "v", "1")
        assert let_in(stage) == ["a0", "a1"]

    def test_a_line_of_the_release_before_goes_on(self, stage: Stage) -> None:
        """Its jobs stand in line 0, where that release lets them in and puts them, and take turns with tenants."""
        flood(stage, None, 5)
        before = stage.server.zrange(f"{AT}queued", 0, -1, withscores=True)
        assert before == [(f"none{number}", number + 1) for number in range(5)]
        flood(stage, "a", 5)
        stage.server.zrem(f"{AT}queued", "none0")  # let in by a process that knows no tenants
        assert stage.server.zcount(f"{AT}queued", 0, "(2000000000000") == 4, "it sees no job of a tenant"
        assert letters(stage, 6).count("n") == 3
        stage.server.zadd(f"{AT}queued", {"none0": 106})  # and put back
        assert sorted(let_in(stage)) == ["a3", "a4", "none0", "none4"]

    def test_places_that_were_left_unseen_are_counted_anew(self, stage: Stage) -> None:
        """A process of another release, or an operator, may free a place without counting: the sweep does."""
        cap(stage, {"a": TenantCaps(max_in_flight=1)})
        flood(stage, "a", 2)
        assert let_in(stage) == ["a0"]
        assert let_in(stage) == []
        stage.server.srem(f"{AT}inflight", "a0")
        stage.ledger.accounts.sweep(ACCOUNT)
        assert let_in(stage) == ["a1"]

    # What is left

    def test_idle_tenants_are_forgotten(self, stage: Stage) -> None:
        """Nothing of a tenant is left once its jobs have ended, and no number of tenants grows anything for good."""
        for number in range(5):
            stage.finished(f"j{number}", tenant=f"t{number}")
            stage.clock.advance(1)
        stage.finished("j", priority="bulk", tenant="t")
        stage.ledger.accounts.sweep(ACCOUNT)
        assert [key for key in KEYS if stage.server.exists(AT + key)] == []
        fields = stage.server.hkeys(f"{AT}account")
        assert [name for name in fields if "/" in name] == []

    def test_a_tenants_line_is_gone_with_its_last_job(self, stage: Stage) -> None:
        """Numbers of lines are used again, and a new tenant is no heir of the old one's turns."""
        flood(stage, "a", 3)
        flood(stage, "b", 20)
        let_in(stage, most=8)
        assert stage.server.zrange(f"{AT}tenants", 0, -1) == ["b"]
        flood(stage, "c", 10)
        assert sorted(stage.server.zrange(f"{AT}tenants", 0, -1)) == ["b", "c"]
        assert letters(stage, 10).count("c") in (5, 6)

    def test_a_deleted_record_leaves_no_turn(self, stage: Stage) -> None:
        """An operator deletes a record: the line goes on, and its place in it is gone."""
        open_jobs(stage, "a", ["a1"])
        open_jobs(stage, "b", ["b1"])
        stage.server.delete(f"{AT}job:a1", f"{AT}body:a1")
        assert let_in(stage) == ["b1"]
        assert stage.server.zrange(f"{AT}queued", 0, -1) == []

    def test_accepting_late_counts_the_place_once(self, stage: Stage) -> None:
        """A place is counted when the job takes it, however often the ledger hears of it."""
        accept(stage, "n", "fine")
        record, token, attempt = stage.submitting("a", tenant="acme")
        for _ in range(2):
            stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", first_poll_seconds=2)
        assert stage.server.hgetall(f"{AT}places") == {"acme": "1"}
