"""Whether words can be read: the contrast of ink and paper, as WCAG 2 defines it."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tests.browser.chromium import Page

#: The least contrast of a text that is not large.
LEAST = 4.5

#: Ink and paper of the texts that there are, each with a name: the paper is the nearest one that is not see-through.
_COLOURS = """
(names => {
  const paint = colour => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const under = it => {
    const layers = [];
    for (; it; it = it.parentElement) layers.push(paint(getComputedStyle(it).backgroundColor));
    return layers.reverse().reduce((base, [r, g, b, a]) =>
      base.map((value, at) => value * (1 - a / 255) + [r, g, b][at] * a / 255), [255, 255, 255]);
  };
  return names.map(name => [name, document.querySelector(name)]).filter(pair => pair[1]).map(([name, it]) =>
    [name, paint(getComputedStyle(it).color).slice(0, 3), under(it)]);
})
"""


def contrasts(tab: Page, names: Iterable[str]) -> dict[str, float]:
    """The contrast of the first element of each selector that finds one."""
    pairs = tab.evaluate(f"{_COLOURS}({json.dumps(list(names))})")
    return {name: round(_contrast(ink, paper), 2) for name, ink, paper in pairs}


def too_faint(found: dict[str, float]) -> dict[str, float]:
    """Those that are hard to read."""
    return {name: contrast for name, contrast in found.items() if contrast < LEAST}


def _contrast(one: list[float], other: list[float]) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: list[float]) -> float:
    parts = [value / 255 for value in colour]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in parts]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
