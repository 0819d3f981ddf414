"""Recorded answers of the installed providers; `bide.providers.declared.samples` says what stands in each file."""

from __future__ import annotations

from pathlib import Path

from bide.providers.declared.samples import Sample, described, load, unmet

__all__ = ["SAMPLES", "Sample", "described", "load", "unmet"]

SAMPLES = Path(__file__).parent / "samples"
