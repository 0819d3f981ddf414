"""A peer's caller, in a process of its own: stdin brings lists of job names, stdout says when they are enqueued."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys


def main(module: str) -> None:
    """Enqueue with the peer's own library, until stdin ends."""
    peer = importlib.import_module(module)
    with asyncio.Runner() as runner:
        _say("ready")
        for line in sys.stdin:
            enqueued = peer.enqueue(json.loads(line))
            if inspect.iscoroutine(enqueued):
                runner.run(enqueued)
            _say("enqueued")


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
