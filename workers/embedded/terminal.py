"""Where the stack speaks to the person who started it."""

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(what: str, text: str) -> None:
    """A line about one thing, its name in front."""
    out.print(f"[bold]{what:10}[/]", end="")
    out.print(text, markup=False)


def warn(what: str, text: str) -> None:
    """A line about one thing that is amiss."""
    out.print(f"[bold yellow]{what:10}[/]", end="")
    out.print(text, markup=False, style="yellow")
