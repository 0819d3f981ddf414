"""What the scenes are painted with: palettes, gradients, glows, ridges."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageOps

Colour = tuple[int, int, int]

#: A line across the picture: from x to y, both as shares of width and height.
Line = Callable[[float], float]


@dataclass(frozen=True)
class Palette:
    """Five colours that go together, from the top of the sky down to what is nearest."""

    zenith: Colour
    middle: Colour
    horizon: Colour
    near: Colour
    light: Colour


_PALETTES = (
    ("1f2a5a", "b85c8e", "ffc58f", "1b1636", "fff1c9"),  # dusk
    ("0b1d3a", "2f6690", "9fd3d6", "08182b", "f7f4d9"),  # moonrise
    ("3f88c5", "9bd1e5", "fdf0d5", "1d4e4f", "fffbe8"),  # clear morning
    ("40295e", "a13d63", "f5a65b", "211130", "ffe8b8"),  # embers
    ("24506b", "6fb1a0", "f4e7b2", "12312f", "fff7d6"),  # lagoon
    ("4a4e8f", "a79ad6", "fbd9e5", "2a2457", "fff4ee"),  # lavender
    ("7a2e3a", "e07a5f", "f6d7a7", "3a1526", "fff0cc"),  # desert
    ("16324f", "3e7c8c", "f2b880", "0d1f2d", "ffe9c4"),  # north sea
    ("27403b", "7ea172", "f1e3b5", "132420", "fdf8dc"),  # moss
)


def hand(digest: str, *salt: object) -> Random:
    """A source of chance that is the same for the same digest, on every machine."""
    return Random("/".join([digest, *map(str, salt)]))


def palette_of(digest: str) -> Palette:
    """One of the palettes, its hues turned a little."""
    chance = hand(digest, "palette")
    turn = chance.uniform(-0.03, 0.03)
    return Palette(*(_turned(colour, turn) for colour in chance.choice(_PALETTES)))


def _turned(colour: str, turn: float) -> Colour:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    red, green, blue = colorsys.hls_to_rgb((hue + turn) % 1.0, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`one` at share 0, `other` at share 1."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def sky(size: tuple[int, int], top: Colour, middle: Colour, bottom: Colour) -> Image.Image:
    """A vertical gradient over three colours."""
    ramp = Image.linear_gradient("L").resize((1, size[1]), Image.Resampling.BILINEAR)
    return ImageOps.colorize(ramp, black=top, white=bottom, mid=middle).resize(size)


def glow(canvas: Image.Image, centre: tuple[float, float], radius: float, colour: Colour, *, strength: float) -> None:
    """Lay light around a point; centre and radius in pixels, strength 0..1."""
    side = max(2, round(radius * 2))
    ramp = ImageChops.invert(Image.radial_gradient("L")).resize((side, side), Image.Resampling.BILINEAR)
    mask = ramp.point([round(255 * strength * _closeness(value) ** 2.2) for value in range(256)])
    canvas.paste(Image.new("RGB", (side, side), colour), (round(centre[0] - radius), round(centre[1] - radius)), mask)


def _closeness(value: int) -> float:
    """0 at the rim of the disc, 1 at its centre: Pillow's gradient has 74 left where the circle meets the square."""
    return max(0.0, (value - 75) / 180)


def disc(canvas: Image.Image, centre: tuple[float, float], radius: float, colour: Colour) -> None:
    """A filled circle; centre and radius in pixels."""
    x, y = centre
    ImageDraw.Draw(canvas).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def ridge(chance: Random, *, level: float, height: float, sharpness: float) -> Line:
    """A mountain line around `level`; sharpness 0 gives rolling hills, 1 gives peaks."""
    octaves = [(1.15 * 2.05**k * chance.uniform(0.8, 1.2), 0.52**k, chance.uniform(0, math.tau)) for k in range(6)]

    def line(x: float) -> float:
        total = 0.0
        for frequency, weight, phase in octaves:
            wave = math.sin(math.pi * frequency * x + phase)
            total += weight * ((1 - sharpness) * wave + sharpness * (1 - 2 * abs(wave)))
        return level - height * total / 1.9

    return line


def swell(chance: Random, *, level: float, height: float, drift: float) -> Line:
    """A calm wave line; drift moves it sideways."""
    phases = [chance.uniform(0, math.tau) for _ in range(3)]
    pace = chance.uniform(0.9, 1.5)

    def line(x: float) -> float:
        at = (x + drift) * math.tau * pace
        return level - height * (
            math.sin(at + phases[0]) + 0.45 * math.sin(2.1 * at + phases[1]) + 0.2 * math.sin(3.7 * at + phases[2])
        )

    return line


def below(line: Line, size: tuple[int, int], *, shift: float = 0.0) -> list[tuple[float, float]]:
    """The polygon from a line down to the lower edge, in pixels."""
    width, height = size
    step = max(2, width // 256)
    crest: Sequence[tuple[float, float]] = [
        (float(x), line(x / width + shift) * height) for x in range(-step, width + 2 * step, step)
    ]
    return [*crest, (width + 2.0 * step, height + 2.0), (-2.0 * step, height + 2.0)]
