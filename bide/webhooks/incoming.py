"""The addresses under which providers call about a job: each holds a proof that it was we who gave it out.

Where a provider signs nothing, only the address sets its calls apart from a stranger's. The proof is a code (HMAC) of
the job's name, so nothing is stored, and the same job always has the same address.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote

#: How much of the code stands in an address [bytes]: 144 bits are 24 characters, and beyond guessing.
PROOF_BYTES = 18

#: What stands in a message where such an address was.
MASK = "***"

#: A slash of an address, as JSON, HTML or an address within an address may have it.
_SLASH = r"(?:\\*/|\\+u002f|%(?:25)*2f|&#(?:x2f|47);)"

#: What an address may be part of.
_TOKEN = re.compile(r"[^\s\"'<>()]+")


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
        """The text without such addresses: providers quote what they were sent, whole or in part, escaped or not."""
        return _TOKEN.sub(lambda found: MASK if self._ours.search(found[0]) else found[0], text)

    @cached_property
    def _ours(self) -> re.Pattern[str]:
        names = _SLASH.join(re.escape(quote(name)) for name in (self.provider, self.account))
        return re.compile(rf"(?:{_SLASH}|(?<![\w.-])){names}{_SLASH}", re.IGNORECASE)

    @property
    def _base(self) -> str:
        return f"{self.url}/{quote(self.provider)}/{quote(self.account)}"

    def _proof(self, job_id: str) -> str:
        named = f"{self.provider}/{self.account}/{job_id}".encode(errors="replace")
        code = hmac.digest(self.secret.encode(), named, hashlib.sha256)
        return urlsafe_b64encode(code[:PROOF_BYTES]).decode()
