"""`python -m workers.pages.thumbnailer`: makes thumbnails for `workers.pages.thumbnails`, until its input ends.

The first line of its input has the options of the store, each further line an output. It answers with a line that has
a length in bytes, and with so many bytes: none for a file without a thumbnail, -1 where another attempt may succeed.
"""

from __future__ import annotations

import json
import resource
import sys
from base64 import b64decode

from bide.bulk.sheet.pictures import preview
from bide.contract import Output
from bide.errors import StorageError
from bide.storage import Storage, StorageOptions

#: The most memory that the process may take [bytes], whatever a file claims to be.
MOST_MEMORY_BYTES = 2 * 1024 * 1024 * 1024

FAILED = -1


def thumbnail(storage: Storage, output: Output) -> bytes | None:
    """A small WebP; b'' where the file has no thumbnail, None where another attempt may succeed."""
    try:
        source = preview(storage, output).source
    except StorageError:
        return None
    return b64decode(source.partition(",")[2]) if source else b""


def main() -> None:
    """Answer each line."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    storage = Storage(StorageOptions(**json.loads(sys.stdin.readline())))
    for line in sys.stdin:
        made = thumbnail(storage, Output(**json.loads(line)))
        sys.stdout.buffer.write(f"{FAILED if made is None else len(made)}\n".encode() + (made or b""))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
