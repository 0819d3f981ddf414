"""What a file turned out to be, and the reasons for which none is taken."""

from __future__ import annotations

from dataclasses import dataclass, field

from bide.errors import BadMediaError

#: Largest picture that is taken [pixels]: one decoded would need 1 GiB.
MAX_PIXELS = 2**28


@dataclass(frozen=True)
class Kind:
    """A file's type by its content; width and height in pixels as shown, where the structure tells them."""

    content_type: str
    ext: str
    width: int | None = None
    height: int | None = None
    #: Why the file could not be checked; '' for one that was, and is whole.
    warning: str = field(default="", compare=False)  # words for people, no part of what the file is


class EndsEarlyError(BadMediaError):
    """The file is of a known type and its end is missing."""

    def __init__(self, message: str = "the file ends early") -> None:
        super().__init__(message)


class UnknownFormError(Exception):
    """The file is of a known type, in a form that its reader does not know: it may well be whole."""


def check_extent(name: str, width: int, height: int) -> None:
    """Refuse what has no area, and what would fill the memory of its decoder; raises `BadMediaError`."""
    if width <= 0 or height <= 0:
        raise BadMediaError(f"the {name} has no area")
    if width * height > MAX_PIXELS:
        raise BadMediaError(f"{width} x {height} is over the limit of {MAX_PIXELS} pixels")


def turned(width: int, height: int, *, sideways: bool) -> tuple[int, int]:
    """Width and height as shown, of a picture that is stored on its side or not."""
    return (height, width) if sideways else (width, height)
