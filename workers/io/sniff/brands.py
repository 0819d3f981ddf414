"""The brands by which MP4, MOV, AVIF and HEIC name themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Brand(NamedTuple):
    """What a file calls itself; `still` for pictures and series of pictures."""

    name: str
    content_type: str
    ext: str
    still: bool = False


AVIF = Brand("AVIF", "image/avif", "avif", still=True)
HEIC = Brand("HEIC", "image/heic", "heic", still=True)
HEIF = Brand("HEIF", "image/heif", "heif", still=True)
MOV = Brand("MOV", "video/quicktime", "mov")
MP4 = Brand("MP4", "video/mp4", "mp4")

_CODECS = dict.fromkeys((b"avif", b"avis", b"MA1A", b"MA1B"), AVIF) | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), HEIC
)

#: Brands of pictures that leave open how these are coded.
_PICTURES = (b"mif1", b"mif2", b"msf1", b"miaf", b"1pic")

#: How the parts of a picture are coded, which is what counts, whatever the brands say.
_ITEMS = {b"av01": AVIF, b"hvc1": HEIC, b"lhv1": HEIC}


def brands_of(content: bytes) -> tuple[bytes, ...]:
    """The brands in the contents of an `ftyp` box: the major one, then those it is compatible with."""
    others = content[8:]
    return (content[:4], *(others[at : at + 4] for at in range(0, len(others) - 3, 4)))


def brand_of(brands: Sequence[bytes], items: Sequence[bytes] = ()) -> Brand:
    """What a file with these brands is; of a picture also the types of its `items` are asked. MOV has no brand."""
    major = brands[0] if brands else b"qt  "
    if major in _CODECS or major in _PICTURES or items:
        by_items = (_ITEMS[item] for item in items if item in _ITEMS)
        by_brands = (_CODECS[brand] for brand in brands if brand in _CODECS)
        return next(by_items, None) or next(by_brands, HEIF)
    return MOV if major == b"qt  " else MP4
