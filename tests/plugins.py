"""Adapters as packages of other people bring them: installed by their entry points."""

from __future__ import annotations

from pathlib import Path


def install(folder: Path, name: str, target: str) -> None:
    """Have a package in `folder`, a part of some PYTHONPATH, that names the class `target` (`module:Class`)."""
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[bide.providers]\n{name} = {target}\n")
