"""Providers of one file without code: `NAME.toml`, read by an engine that is an adapter like any other.

Nothing of the engine is imported before there is such a file.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bide.providers.base import Provider

#: Where a deployment has its files.
FOLDER = Path("config/providers")

#: The variable that names further folders, with the separator of PATH between them.
PATH_VARIABLE = "BIDE_PROVIDERS_PATH"


def adapters(shipped: Collection[str]) -> dict[str, type[Provider]]:
    """The adapters of all files, by name; raises `MistakesError` with all that is wrong in any of them."""
    named = named_folders()
    here = [FOLDER] if FOLDER.is_dir() else []
    if not named and not any(file for folder in here for file in folder.glob("*.toml")):
        return {}
    from bide.providers.declared import files  # noqa: PLC0415 - the engine is loaded only where there are files

    if missing := files.missing_folders(named):
        from bide.providers.declared.mistakes import MistakesError  # noqa: PLC0415 - likewise

        raise MistakesError(missing)
    return {**files.read(files.toml_files([*here, *named]), shipped)}


def named_folders() -> list[Path]:
    """The folders that `BIDE_PROVIDERS_PATH` names, in the environment or `.env`."""
    named = os.environ.get(PATH_VARIABLE) or _written()
    return [Path(part.strip()).expanduser() for part in named.split(os.pathsep) if part.strip()]


def _written() -> str:
    """What `.env` says; '' where there is none, or none that can be read: the settings say so."""
    file = Path(os.environ.get("DOTENV", ".env"))
    if not file.is_file():
        return ""
    from dotenv import dotenv_values  # noqa: PLC0415 - slow, and most callers have no .env

    try:
        return dotenv_values(file, interpolate=False).get(PATH_VARIABLE) or ""
    except (OSError, ValueError):
        return ""
