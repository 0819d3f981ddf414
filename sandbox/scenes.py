"""The four scenes: hills, a lake, paper waves, a flow; each drawn from a digest, for any size and moment."""

from __future__ import annotations

import math
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from sandbox.brushes import Line, Palette, below, disc, glow, hand, mix, palette_of, ridge, sky, swell

#: (digest, size in pixels, moment 0..1 of a film) to a picture.
Scene = Callable[[str, tuple[int, int], float], Image.Image]


def hills(digest: str, size: tuple[int, int], moment: float = 0.0) -> Image.Image:
    """Ridge behind ridge in the haze, a sun, pines on the nearest hill."""
    chance, colours = hand(digest, "hills"), palette_of(digest)
    canvas = sky(size, colours.zenith, colours.middle, colours.horizon)
    _heaven(canvas, colours, digest, moment)
    count = chance.randint(4, 6)
    for layer in range(count):
        depth = layer / (count - 1)
        line = ridge(chance, level=0.5 + 0.36 * depth, height=0.15 - 0.07 * depth, sharpness=0.75 * (1 - depth) ** 1.3)
        shift = moment * 0.12 * (0.2 + depth) + chance.random()
        _layer(canvas, line, colours, depth, shift)
        if layer == count - 1:
            _pines(canvas, line, colours, digest, shift)
    return canvas


def lake(digest: str, size: tuple[int, int], moment: float = 0.0) -> Image.Image:
    """Mountains over still water that gives them back."""
    chance, colours = hand(digest, "lake"), palette_of(digest)
    width, height = size
    shore = round(height * chance.uniform(0.56, 0.64))
    upper = sky((width, shore), colours.zenith, colours.middle, colours.horizon)
    _heaven(upper, colours, digest, moment)
    for layer in range(3):
        depth = 0.15 + 0.3 * layer
        line = ridge(chance, level=0.66 + 0.13 * layer, height=0.22 - 0.06 * layer, sharpness=0.8 - 0.25 * layer)
        _layer(upper, line, colours, depth, chance.random() + moment * 0.03 * layer)
    canvas = Image.new("RGB", size, colours.near)
    canvas.paste(upper, (0, 0))
    canvas.paste(_mirrored(upper, (width, height - shore), colours), (0, shore))
    _ripples(canvas, shore, colours, digest, moment)
    return canvas


def waves(digest: str, size: tuple[int, int], moment: float = 0.0) -> Image.Image:
    """Sheets of cut paper, one before the other, each with its shadow."""
    chance, colours = hand(digest, "waves"), palette_of(digest)
    width, height = size
    canvas = sky(size, colours.horizon, mix(colours.horizon, colours.light, 0.6), colours.light)
    centre = (width * chance.uniform(0.25, 0.75), height * (0.3 - 0.05 * moment))
    glow(canvas, centre, height * 0.5, colours.light, strength=0.9)
    disc(canvas, centre, height * 0.13, mix(colours.middle, colours.light, 0.25))
    count = chance.randint(6, 8)
    for layer in range(count):
        depth = layer / (count - 1)
        line = swell(chance, level=0.36 + 0.56 * depth, height=0.05 + 0.02 * depth, drift=moment * (0.1 + 0.3 * depth))
        _shadow(canvas, line, height * 0.012)
        ImageDraw.Draw(canvas).polygon(below(line, size), fill=_step(colours, depth))
    return canvas


def flow(digest: str, size: tuple[int, int], moment: float = 0.0) -> Image.Image:
    """Fine threads that follow one current."""
    chance, colours = hand(digest, "flow"), palette_of(digest)
    width, height = size
    canvas = sky(size, mix(colours.near, colours.zenith, 0.35), colours.near, mix(colours.near, (0, 0, 0), 0.35))
    glow(
        canvas,
        (width * chance.random(), height * chance.random()),
        height * 0.8,
        mix(colours.zenith, colours.middle, 0.6),
        strength=0.6,
    )
    brush = ImageDraw.Draw(canvas)
    field = _current(digest, moment)
    threads = [colours.middle, colours.horizon, colours.light, mix(colours.zenith, colours.middle, 0.5)]
    for _ in range(420):
        start = (chance.uniform(-0.1, 1.0), chance.uniform(-0.05, 1.05))
        colour = mix(chance.choice(threads), colours.near, chance.uniform(0.0, 0.45))
        path = _thread(field, start, steps=chance.randint(18, 46))
        brush.line(
            [(x * width, y * height) for x, y in path],
            fill=colour,
            width=max(1, round(width * chance.choice((0.002, 0.003, 0.005, 0.009)))),
            joint="curve",
        )
    return canvas


SCENES: tuple[Scene, ...] = (hills, lake, waves, flow)


def _heaven(canvas: Image.Image, colours: Palette, digest: str, moment: float) -> None:
    """The sun or moon with its light, and stars where the sky is dark."""
    chance = hand(digest, "heaven")
    width, height = canvas.size
    if sum(colours.zenith) < 260:
        _stars(canvas, colours, digest)
    centre = (width * chance.uniform(0.22, 0.78), height * (chance.uniform(0.26, 0.44) - 0.16 * moment))
    radius = min(width, height) * chance.uniform(0.05, 0.1)
    glow(canvas, centre, radius * 6.5, mix(colours.horizon, colours.light, 0.5), strength=0.75)
    glow(canvas, centre, radius * 2.6, colours.light, strength=0.8)
    disc(canvas, centre, radius, colours.light)


def _stars(canvas: Image.Image, colours: Palette, digest: str) -> None:
    chance, brush = hand(digest, "stars"), ImageDraw.Draw(canvas)
    width, height = canvas.size
    for _ in range(90):
        x, y = chance.random() * width, chance.random() ** 1.6 * height * 0.5
        radius = width * chance.choice((0.0008, 0.0012, 0.002))
        shade = mix(colours.light, colour_at(canvas, x, y), 0.25 + 0.75 * y / (height * 0.5))
        brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade)


def _layer(canvas: Image.Image, line: Line, colours: Palette, depth: float, shift: float) -> None:
    """One ridge: hazy at its foot, darker the nearer it is."""
    size = canvas.size
    body = mix(mix(colours.horizon, colours.middle, 0.55), colours.near, 0.12 + 0.88 * depth)
    foot = mix(body, colours.horizon, 0.5 * (1 - depth))
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).polygon(below(line, size, shift=shift), fill=255)
    crest = round(min(line(x / 32 + shift) for x in range(33)) * size[1])
    shade = Image.new("RGB", size, foot)
    shade.paste(sky((size[0], max(2, round(size[1] * 0.34))), body, mix(body, foot, 0.5), foot), (0, max(0, crest)))
    canvas.paste(shade, (0, 0), mask)


def _pines(canvas: Image.Image, line: Line, colours: Palette, digest: str, shift: float) -> None:
    chance, brush = hand(digest, "pines"), ImageDraw.Draw(canvas)
    width, height = canvas.size
    clumps = [chance.random() for _ in range(4)]
    for _ in range(46):
        x = chance.choice(clumps) + chance.gauss(0, 0.06)
        tall = height * chance.uniform(0.035, 0.1)
        _pine(brush, x * width, line(x + shift) * height + tall * 0.12, tall, colours)


def _pine(brush: ImageDraw.ImageDraw, x: float, foot: float, tall: float, colours: Palette) -> None:
    dark = mix(colours.near, (0, 0, 0), 0.15)
    for tier in range(4):
        top, wide = foot - tall + tier * tall * 0.2, tall * (0.09 + 0.055 * tier)
        brush.polygon([(x, top), (x - wide, top + tall * 0.36), (x + wide, top + tall * 0.36)], fill=dark)


def _mirrored(upper: Image.Image, size: tuple[int, int], colours: Palette) -> Image.Image:
    """The water: the upper part upside down, blurred and darker towards us."""
    turned = ImageOps.flip(upper).crop((0, 0, size[0], min(size[1], upper.height))).resize(size)
    soft = turned.filter(ImageFilter.BoxBlur((size[0] * 0.002, size[0] * 0.008)))
    deep = Image.linear_gradient("L").resize(size).point([60 + round(value * 0.55) for value in range(256)])
    soft.paste(Image.new("RGB", size, mix(colours.near, colours.zenith, 0.3)), (0, 0), deep)
    return soft


def _ripples(canvas: Image.Image, shore: int, colours: Palette, digest: str, moment: float) -> None:
    chance, brush = hand(digest, "ripples"), ImageDraw.Draw(canvas)
    width, height = canvas.size
    brush.rectangle(
        (0, shore - height * 0.002, width, shore + height * 0.002), fill=mix(colours.horizon, colours.near, 0.6)
    )
    for _ in range(60):
        share = chance.random() ** 1.7
        y, long = shore + share * (height - shore), width * chance.uniform(0.02, 0.1) * (0.5 + share)
        x = (chance.random() * 1.2 - 0.1 + 0.05 * moment) * width
        thick = height * (0.0007 + 0.0012 * share)
        brush.ellipse(
            (x - long, y - thick, x + long, y + thick), fill=mix(colour_at(canvas, x, y), colours.light, 0.22)
        )


def colour_at(canvas: Image.Image, x: float, y: float) -> tuple[int, int, int]:
    """The colour at a point, or at the nearest point inside."""
    width, height = canvas.size
    value = canvas.getpixel((min(max(int(x), 0), width - 1), min(max(int(y), 0), height - 1)))
    red, green, blue = value if isinstance(value, tuple) else (0, 0, 0)
    return int(red), int(green), int(blue)


def _shadow(canvas: Image.Image, line: Line, reach: float) -> None:
    mask = Image.new("L", canvas.size, 0)
    ImageDraw.Draw(mask).polygon([(x, y - reach) for x, y in below(line, canvas.size)], fill=90)
    canvas.paste((0, 0, 0), (0, 0), mask.filter(ImageFilter.BoxBlur(reach * 1.4)))


def _step(colours: Palette, depth: float) -> tuple[int, int, int]:
    """From the horizon over the middle to the near colour."""
    if depth < 0.5:
        return mix(mix(colours.horizon, colours.middle, 0.35), colours.zenith, depth)
    return mix(mix(colours.middle, colours.zenith, 0.6), colours.near, depth * 2 - 1)


def _current(digest: str, moment: float) -> Callable[[float, float], float]:
    """The direction of the current at a point [radians]."""
    chance = hand(digest, "current")
    a, b, c = (chance.uniform(1.2, 3.4) for _ in range(3))
    lean, phase = chance.uniform(-0.6, 0.6), chance.uniform(0, math.tau) + moment * 1.2
    return lambda x, y: lean + 1.1 * math.sin(a * x + phase) * math.cos(b * y) + 0.6 * math.sin(c * (x + y) - phase)


def _thread(
    field: Callable[[float, float], float], start: tuple[float, float], *, steps: int
) -> list[tuple[float, float]]:
    x, y = start
    path = [(x, y)]
    for _ in range(steps):
        angle = field(x, y)
        x, y = x + 0.014 * math.cos(angle), y + 0.014 * math.sin(angle)
        path.append((x, y))
    return path
