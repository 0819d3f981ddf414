"""`python -m workers.embedded demo|up`: runs a stack until it is done or Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from functools import partial
from pathlib import Path


def main() -> int:
    """Run what the command line asks for; the exit code says how it went."""
    parser = argparse.ArgumentParser(prog="bide", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="run until Ctrl-C, with your own providers")
    up.add_argument("--servers-only", action="store_true", help="only broker, object store and sandbox")
    up.add_argument("--replicated", action="store_true", help="the broker as a leader with replicas and sentinels")
    demo = commands.add_parser("demo", help="show every operation of every provider, against the sandbox")
    demo.add_argument("--keep", action="store_true", help="keep running after the demo, until Ctrl-C")
    asked = parser.parse_args()
    # Imported here: until a run listens to signals, Ctrl-C just ends this process.
    from workers.embedded.demo import demo as demo_body  # noqa: PLC0415 - Ctrl-C while it is loaded needs no traceback
    from workers.embedded.runs import run  # noqa: PLC0415 - Ctrl-C while it is loaded needs no traceback
    from workers.embedded.up import up as up_body  # noqa: PLC0415 - Ctrl-C while it is loaded needs no traceback

    if asked.command == "demo":
        return run(Path.cwd(), asked.command, partial(demo_body, keep=asked.keep))
    return run(
        Path.cwd(), asked.command, partial(up_body, servers_only=asked.servers_only, replicated=asked.replicated)
    )


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main())
