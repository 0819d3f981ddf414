"""A Redis in memory that holds each ledger script against the schema while it runs."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import fakeredis

from bide.bulk import scripts as scripts_of_runs
from bide.ledger import scripts as scripts_of
from bide.ledger.kept import PARTS
from bide.ledger.schema import FIELDS, STATES, TRANSITIONS
from bide.ledger.script import Script

#: With more records than this reading all of them takes too long.
MOST_RECORDS = 300

_FIELDS = {field.name: field for field in FIELDS}


@cache
def scripts() -> dict[str, str]:
    """The name of each script by its digest."""
    return {hashlib.sha1(script.text().encode()).hexdigest(): schema_name(script) for script in declared()}


def declared() -> list[type[Script]]:
    """All scripts of ledger and bulk runs."""
    modules = (scripts_of.job, scripts_of.account, scripts_of.callbacks, scripts_of.whole, scripts_of_runs)
    return [script for script in Script.__subclasses__() if script.__module__ in {each.__name__ for each in modules}]


def schema_name(script: type[Script]) -> str:
    """How the schema names a script."""
    return script.path.removeprefix("job/").removeprefix("account/")


class ObservedRedis(fakeredis.FakeRedis):
    """`seen` holds the transitions that were made: state before, state after, script."""

    def __init__(self, **options: Any) -> None:
        super().__init__(decode_responses=True, version=(7,), **options)
        self.seen: set[tuple[str, str, str]] = set()

    def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Run a script, and compare the records after it with those before."""
        script = scripts().get(sha)
        before = self._records() if script else None
        reply = super().evalsha(sha, numkeys, *keys_and_args)
        if script and before is not None and (after := self._records()) is not None:
            for key in before.keys() | after.keys():
                self._compare(script, before.get(key, {}), after.get(key, {}))
        return reply

    def _records(self) -> dict[str, dict[str, str]] | None:
        keys: list[Any] = [key for key in self.keys("bide:{*}:job:*") if self.type(key) == "hash"]
        if len(keys) > MOST_RECORDS:
            return None
        records: dict[Any, Any] = {key: self.hgetall(key) for key in keys}
        return records

    def _compare(self, script: str, before: dict[str, str], after: dict[str, str]) -> None:
        was, state = before.get("state", ""), after.get("state", "")
        if was != state:
            self.seen.add((was, state, script))
            made = [one for one in TRANSITIONS if (one.before, one.after) == (was, state)]
            assert any(script in one.scripts.split() for one in made), f"{script}: {was or '-'} -> {state or '-'}"
        for name, value in after.items():
            if name in PARTS:
                assert script == "pack" or before.get(name) == value or not before, f"{script} writes a packed part"
                continue
            assert name in _FIELDS, f"{script} writes {name}, which the schema lacks"
            if before.get(name) != value and script != "recover":  # which writes a record as another ledger had it
                writers = _FIELDS[name].writers.split()
                assert writers == ["*"] or script in writers, f"{script} writes {name}, not among {writers}"
                assert state not in STATES or state in _FIELDS[name].states, f"{script} writes {name} in {state}"
