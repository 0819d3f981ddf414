"""The `bide` command."""

from bide.cli.main import main

__all__ = ["main"]
