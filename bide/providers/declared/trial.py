"""A provider's file on trial: recorded answers played through it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bide.errors import ConfigurationError
from bide.providers import in_python
from bide.providers.base import Account, Provider
from bide.providers.declared.files import read
from bide.providers.declared.samples import Sample, load, play, unmet

#: Where answers are played: no request is made.
ACCOUNT = Account("https://provider.example", "a-key-for-samples")

#: The fields of an outcome by which people know it, the first that is there.
_TELLING = ("provider_job_id", "status", "reason", "message", "says", "cursor")


@dataclass(frozen=True)
class Played:
    """One sample and what it became."""

    sample: Sample
    came: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return self.sample.name

    @property
    def has_expectation(self) -> bool:
        return bool(self.sample.expect)

    @property
    def missed(self) -> dict[str, Any]:
        """What was expected and did not come, by field, with what came in its place."""
        return {name: self.came.get(name) for name in unmet(self.sample.expect, self.came)}

    @property
    def becomes(self) -> str:
        """The outcome in a line."""
        if "entries" in self.came:
            return f"{len(self.came['entries'])} entries"
        kind = self.came.get("is") or self.came.get("raises")
        if outputs := self.came.get("outputs"):
            return f"{kind}: {', '.join(_shown(output) for output in outputs)}"
        telling = next((str(self.came[name]) for name in _TELLING if self.came.get(name)), "")
        return f"{kind}: {telling}" if telling else str(kind)


def adapter_of(file: Path) -> Provider:
    """The adapter of a file; raises `MistakesError`."""
    (cls,) = read([file], in_python()).values()
    return cls()


def played(file: Path, samples: Path | None) -> tuple[Provider, list[Played]]:
    """The adapter of a file, and what it makes of the samples of a folder; raises `ConfigurationError`."""
    adapter = adapter_of(file)
    try:
        recorded = load(samples) if samples else []
    except ValueError as error:
        raise ConfigurationError(f"{samples}/{error}") from None
    known = {*adapter.operations, *adapter.catalogs}
    for sample in recorded:
        if sample.operation not in known:
            names = ", ".join(sorted(known))
            raise ConfigurationError(
                f"{samples}/{sample.name}.json: the file has no {sample.operation!r}; it has {names}"
            )
    return adapter, [Played(sample, play(sample, adapter, ACCOUNT)) for sample in recorded]


def _shown(output: dict[str, Any]) -> str:
    where = output.get("url") or f"{len(output.get('content_base64', ''))} characters of base64"
    return f"{output['role']} {where}"
