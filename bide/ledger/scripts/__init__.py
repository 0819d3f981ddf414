"""The Lua scripts of the ledger, one for each change. `scripts.job.Intend` declares `job/intend.lua`."""

from bide.ledger.scripts import account, callbacks, job, whole

__all__ = ["account", "callbacks", "job", "whole"]
