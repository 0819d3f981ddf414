"""`python -m workers.embedded.objects`: nanio, started after what a killed one left half written is cleared away.

It writes beside a name that is always the same, and refuses for ever to write an object whose half is still there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: What is being written: an object's description, and an object.
UNFINISHED = (".nanio-meta/**/*.tmp", ".tmp.*")


def clear(folder: Path) -> None:
    """Delete what was half written in a folder that no nanio serves."""
    for pattern in UNFINISHED:
        for path in folder.rglob(pattern):
            path.unlink(missing_ok=True)


def main() -> None:
    """Become nanio, with the same arguments."""
    arguments = sys.argv[1:]
    clear(Path(arguments[arguments.index("--data-dir") + 1]))
    os.execv(sys.executable, [sys.executable, "-m", "nanio", *arguments])  # noqa: S606 - ourselves, with our arguments


if __name__ == "__main__":
    main()
