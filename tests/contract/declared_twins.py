"""Three of the adapters written as files, for the tests that hold each against its twin in Python."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bide.providers.base import Provider
from bide.providers.declared.files import read

FOLDER = Path(__file__).parent / "declared"

#: What each file leaves out of its twin.
LEFT_OUT = {"cyberphotobooth": set[str](), "dreambooth": set[str](), "photogpt": {"videos.generation", "models.train"}}


@cache
def twin(name: str) -> Provider:
    """The adapter of a file."""
    return read([FOLDER / f"{name}.toml"])[name]()
