"""A file read piece by piece, never beyond its end and never without end."""

from __future__ import annotations

from typing import IO

from workers.io.sniff.kind import EndsEarlyError, UnknownFormError

#: Most pieces a file may be read in, and one more for each hundred bytes; a small file two for each byte. Whole files
#: have far fewer, one that was made to keep a worker busy has far more.
MAX_PIECES = 2_000_000
_FEW_PIECES = 10_000

#: Read at once [bytes].
BLOCK_BYTES = 64 * 1024


class Pieces:
    """Reads a file forward from `at`. Raises `EndsEarlyError` where more is wanted than there is."""

    def __init__(self, file: IO[bytes], size_bytes: int) -> None:
        self._file = file
        self._left = min(MAX_PIECES + size_bytes // 100, _FEW_PIECES + 2 * size_bytes)
        self._block, self._block_at = b"", 0
        self.size_bytes = size_bytes
        self.at = 0

    @property
    def left_bytes(self) -> int:
        """How much lies between here and the end."""
        return self.size_bytes - self.at

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        self.spend(1)
        start = self.at - self._block_at
        if not 0 <= start <= len(self._block) - count:
            self._load(count)
            start = 0
        self.at += count
        return self._block[start : start + count]

    def some(self, most: int = BLOCK_BYTES) -> bytes:
        """The next bytes that are at hand, `most` at most and one at least."""
        self.spend(1)
        start = self.at - self._block_at
        if not 0 <= start < len(self._block):
            self._load(1)
            start = 0
        piece = self._block[start : start + most]
        self.at += len(piece)
        return piece

    def big(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def little(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def go(self, offset: int) -> None:
        """Go to an offset, which must lie in the file or at its end."""
        if offset > self.size_bytes:
            raise EndsEarlyError
        self.at = offset

    def find(self, wanted: bytes) -> bool:
        """Go to the next place where `wanted` begins; False, and the end, where there is none."""
        before = b""
        while self.left_bytes:
            block = before + self.some()
            if (found := block.find(wanted)) >= 0:
                self.at += found - len(block)
                return True
            before = block[len(block) - len(wanted) + 1 :]
        return False

    def spend(self, pieces: int) -> None:
        """Count pieces that were read; raises `UnknownFormError` for a file of too many."""
        self._left -= pieces
        if self._left < 0:
            raise UnknownFormError("it is made of too many pieces")

    def _load(self, count: int) -> None:
        if count > self.left_bytes:
            raise EndsEarlyError
        self._file.seek(self.at)
        self._block = self._file.read(max(count, BLOCK_BYTES))
        self._block_at = self.at
        if len(self._block) < count:
            raise EndsEarlyError
