"""Nothing is left out: every installed provider has its test class, its samples, and a decision on every ambiguity."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from bide.providers import find, installed
from bide.providers.base import Cancels
from tests.contract.provider_contract import ProviderContract
from tests.contract.samples import SAMPLES, load

#: The answers of which every operation must have at least one sample.
KINDS = {"submit", "refused", "poll-running", "poll-success", "poll-failed"}
OTHER_KINDS = {"poll-fetch", "poll-gone", "poll-error", "poll-unreadable", "cancel", "catalog"}

pytestmark = pytest.mark.parametrize("name", sorted(installed()))


def contract_class(name: str) -> type[ProviderContract]:
    """The one class in `test_{name}.py` that inherits the contract for this provider."""
    assert (Path(__file__).parent / f"test_{name}.py").exists(), f"tests/contract/test_{name}.py is missing"
    names = vars(import_module(f"tests.contract.test_{name}")).values()
    heirs = [cls for cls in names if isinstance(cls, type) and issubclass(cls, ProviderContract)]
    (heir,) = [cls for cls in heirs if cls is not ProviderContract and cls.name == name]
    return heir


def test_has_a_test_class_that_pytest_finds(name: str) -> None:
    """A provider without its contract test is not done."""
    assert contract_class(name).__name__.startswith("Test")


def test_has_samples_of_every_operation(name: str) -> None:
    """Each operation has a sample of each kind of answer."""
    samples = load(SAMPLES / name)
    for operation in find(name).operations:
        missing = KINDS - {sample.kind for sample in samples if sample.operation == operation}
        assert not missing, f"samples/{name} lack {operation}: {', '.join(sorted(missing))}"


def test_has_samples_of_its_cancel(name: str) -> None:
    """An adapter that stops jobs has samples of what its provider makes of a cancel."""
    shown = {sample.expect["what"] for sample in load(SAMPLES / name) if sample.kind == "cancel"}
    assert isinstance(find(name), Cancels) == (len(shown) > 1)


def test_has_samples_of_every_catalog(name: str) -> None:
    """Each catalog has a sample."""
    shown = {sample.operation for sample in load(SAMPLES / name) if sample.kind == "catalog"}
    assert set(find(name).catalogs) == shown


def test_has_no_stray_samples(name: str) -> None:
    """A misnamed file would be played by nobody."""
    known = {*find(name).operations, *find(name).catalogs}
    for sample in load(SAMPLES / name):
        assert sample.operation in known, sample.name
        assert sample.kind in KINDS | OTHER_KINDS, sample.name


def test_decides_every_ambiguity(name: str) -> None:
    """The ambiguities of a provider's pages are numbered; each has a test that says what was decided."""
    heir = contract_class(name)
    decided = {int(found[1]) for test in dir(heir) if (found := re.match(r"test_ambiguity_(\d+)_", test))}
    assert decided == set(range(1, getattr(heir, "ambiguities", 0) + 1))
