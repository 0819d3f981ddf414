"""PNG and APNG: the chunks, their checksums, and whether the compressed data hold as many bytes as the pixels need."""

from __future__ import annotations

import struct
import zlib

from bide.errors import BadMediaError
from workers.io.sniff.exif import sideways
from workers.io.sniff.kind import EndsEarlyError, Kind, UnknownFormError, check_extent, turned
from workers.io.sniff.pieces import BLOCK_BYTES, Pieces

#: Most that is unpacked of one file [bytes], to be counted and thrown away. Pixels behind that are not looked at.
MAX_UNPACKED_BYTES = 2**28

#: Unpacked at once [bytes].
_STEP_BYTES = 256 * 1024

#: EXIF data are read up to here [bytes]: notes and a thumbnail.
_MAX_EXIF_BYTES = 1024 * 1024

#: The values of a pixel by the type of its colour.
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

#: The passes of an interlaced picture: first column and row of each, then the steps between its columns and rows.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def read(pieces: Pieces) -> Kind:
    """Read to the last chunk; raises `BadMediaError` or `UnknownFormError`."""
    pieces.go(8)
    picture = _Picture()
    name = b""
    while name != b"IEND":
        chunk = _Chunk(pieces)
        name = chunk.name
        picture.add(chunk)
        chunk.close()
    return picture.kind()


class _Chunk:
    """One chunk, which is read up to its checksum."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._left, self.name = pieces.big(4), pieces.take(4)
        self._crc = zlib.crc32(self.name)

    def take(self, most: int = BLOCK_BYTES) -> bytes:
        """The next bytes of its content, `most` at most; b'' at its end."""
        block = self._pieces.some(min(most, self._left)) if self._left else b""
        self._left -= len(block)
        self._crc = zlib.crc32(block, self._crc)
        return block

    def close(self) -> None:
        """Read the rest. As decoders do, this checks the sums of chunks that pixels need, and no others."""
        while self.take():
            pass
        needed = self.name != b"IEND" and not self.name[0] & 0x20
        if self._pieces.big(4) != self._crc and needed:
            raise BadMediaError("the PNG is damaged: a checksum differs")


class _Picture:
    """What the chunks so far have shown."""

    def __init__(self) -> None:
        self._layout: _Layout | None = None
        self._pixels: _Pixels | None = None
        self._packing_bytes = 2
        self._sideways = self._has_data = False
        self._left = MAX_UNPACKED_BYTES

    def add(self, chunk: _Chunk) -> None:
        if chunk.name == b"CgBI":  # Apple's own: deflated without head and checksum
            self._packing_bytes = 0
        elif chunk.name == b"IHDR":
            self._begin(chunk.take(13))
        elif chunk.name == b"IDAT":
            self._unpack(chunk)
        elif chunk.name == b"fcTL" and self._has_data:
            self._begin_frame(chunk.take(26))
        elif chunk.name == b"fdAT":
            chunk.take(4)
            self._unpack(chunk)
        elif chunk.name == b"eXIf":
            self._sideways = sideways(chunk.take(_MAX_EXIF_BYTES))

    def kind(self) -> Kind:
        """The kind of a file that was read to its end."""
        if self._layout is None or not self._has_data:
            raise BadMediaError("the PNG holds no picture")
        self._end_frame()
        return Kind("image/png", "png", *turned(self._layout.width, self._layout.height, sideways=self._sideways))

    def _begin(self, header: bytes) -> None:
        self._layout = layout = _Layout.of(header)
        check_extent("PNG", layout.width, layout.height)
        self._pixels = self._expected(layout.width, layout.height)

    def _begin_frame(self, control: bytes) -> None:
        """A further picture of an animation has a size of its own."""
        self._end_frame()
        if len(control) >= 12:
            self._pixels = self._expected(*struct.unpack_from(">II", control, 4))

    def _expected(self, width: int, height: int) -> _Pixels:
        unpacked = self._layout.unpacked_bytes(width, height) if self._layout else 0
        unpacked = min(unpacked, self._left)
        self._left -= unpacked
        return _Pixels(unpacked, self._packing_bytes)

    def _unpack(self, chunk: _Chunk) -> None:
        if self._pixels is None:
            raise UnknownFormError("its pixels come before their size")
        self._has_data = True
        while block := chunk.take():
            self._pixels.unpack(block)

    def _end_frame(self) -> None:
        if self._pixels:
            self._pixels.end()


class _Layout:
    """How pixels lie in the unpacked data."""

    def __init__(self, header: bytes) -> None:
        self.width, self.height, depth, colour, _, _, self._interlaced = struct.unpack(">IIBBBBB", header)
        if colour not in _CHANNELS or depth not in (1, 2, 4, 8, 16) or self._interlaced > 1:
            raise UnknownFormError("its pixels lie in a way of its own")
        self._pixel_bits = _CHANNELS[colour] * depth

    @classmethod
    def of(cls, header: bytes) -> _Layout:
        if len(header) < 13:
            raise UnknownFormError("its header is short")
        return cls(header)

    def unpacked_bytes(self, width: int, height: int) -> int:
        """The bytes of a picture: each row has one more, which names its filter."""
        passes = _PASSES if self._interlaced else ((0, 0, 1, 1),)
        sizes = (
            (-((column - width) // right), -((row - height) // down)) for column, row, right, down in passes
        )  # rounded up
        return sum(rows * (1 + (columns * self._pixel_bits + 7) // 8) for columns, rows in sizes if columns > 0 < rows)


class _Pixels:
    """Compressed pixels, which are counted as they are unpacked, and not kept."""

    def __init__(self, unpacked_bytes: int, packing_bytes: int) -> None:
        self._left = unpacked_bytes
        #: The head of zlib is passed over, and its checksum not asked for: decoders stop at the last pixel.
        self._head_left = packing_bytes
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._damaged = False

    def unpack(self, block: bytes) -> None:
        skipped = min(self._head_left, len(block))
        self._head_left -= skipped
        block = block[skipped:]
        full = bool(block)
        while (block or full) and self._left > 0 and not self._damaged and not self._inflate.eof:
            try:
                unpacked = self._inflate.decompress(block, _STEP_BYTES)
            except zlib.error:
                self._damaged = True
                return
            self._left -= len(unpacked)
            block, full = self._inflate.unconsumed_tail, len(unpacked) == _STEP_BYTES

    def end(self) -> None:
        """Raises `BadMediaError` where pixels are missing."""
        if self._left > 0 and self._damaged:
            raise BadMediaError("the PNG is damaged: its pixels can't be unpacked")
        if self._left > 0:
            raise EndsEarlyError("the PNG ends early: its data end before its pixels do")
