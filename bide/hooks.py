"""The addresses under which providers call about a job: each holds a proof that it was we who gave it out.

Where a provider signs nothing, the address is all that tells its call from anybody's. The proof is a code (HMAC) of
the job's name, so nothing is stored, and the same job always has the same address.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from urllib.parse import quote

#: How much of the code stands in an address [bytes]: 144 bits are 24 characters, and beyond guessing.
PROOF_BYTES = 18

#: What stands in a message where such an address was.
MASK = "***"


@dataclass(frozen=True)
class Hooks:
    """The addresses of one account's jobs, below the public address `url` of the endpoint."""

    url: str
    secret: str = field(repr=False)
    provider: str
    account: str

    def address(self, job_id: str) -> str:
        """Where the provider is to call about this job."""
        return "/".join((self._base, quote(job_id, safe=":"), self._proof(job_id)))

    def proves(self, job_id: str, proof: str) -> bool:
        """Whether the last part of an address is the one that we gave out for this job."""
        return hmac.compare_digest(self._proof(job_id).encode(), proof.encode(errors="replace"))

    def hidden(self, text: str) -> str:
        """The text without such addresses: providers quote what they were sent."""
        return re.sub(rf"{re.escape(self._base)}/\S*", MASK, text)

    @property
    def _base(self) -> str:
        return f"{self.url}/{quote(self.provider)}/{quote(self.account)}"

    def _proof(self, job_id: str) -> str:
        named = f"{self.provider}/{self.account}/{job_id}".encode(errors="replace")
        code = hmac.digest(self.secret.encode(), named, hashlib.sha256)
        return urlsafe_b64encode(code[:PROOF_BYTES]).decode()
