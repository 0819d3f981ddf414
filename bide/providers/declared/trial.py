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
from bide.providers.declared.summary import in_a_line

#: Where answers are played: no request is made.
ACCOUNT = Account("https://provider.example", "a-key-for-samples")


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
        return in_a_line(self.came)


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
