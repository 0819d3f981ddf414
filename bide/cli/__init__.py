"""The `bide` command."""

import signal


def main() -> None:
    """Read the command line and do what it says."""
    listens = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if listens:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from bide.cli.main import main as command  # noqa: PLC0415 - Ctrl-C while it is loaded needs no traceback

    if listens:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command()
