"""The scripts about the ledger as a whole. Each Lua file says what its keys and arguments mean, and what it replies."""

from bide.ledger.safety import LEDGER_KEY
from bide.ledger.script import Key, Script


class Look(Script):
    ledger: Key = Key(LEDGER_KEY)
    id: str
    seen_at: float
    tolerated_seconds: float
    keep_seconds: float
