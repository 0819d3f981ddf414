"""Headers of downloads that are for one origin, such as an account's key for its provider's own addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from bide.addresses import DEFAULT_PORTS, host_of, web_address


@dataclass(frozen=True)
class OriginHeaders:
    """`headers` go to the origin of `base_url` (scheme, host and port), and to no other."""

    base_url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def of(self, address: str) -> Mapping[str, str]:
        """The headers for a request to an address: none where its origin is another, or where it is none."""
        if not self.headers:
            return {}
        own = _origin(self.base_url)
        return self.headers if own and own == _origin(address) else {}


#: Of an account that has none.
NO_HEADERS = OriginHeaders()


@lru_cache(maxsize=1024)
def _origin(address: str) -> tuple[str, str, int] | None:
    """Scheme, host and port in one spelling; None for what is no address, or has a user name in it."""
    try:
        url = web_address(address)
    except ValueError:
        return None
    return None if url.userinfo else (url.scheme, host_of(url), url.port or DEFAULT_PORTS[url.scheme])
