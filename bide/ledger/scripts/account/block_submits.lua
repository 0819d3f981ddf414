--- include: record breaker
-- The provider refuses the account: its breaker opens for a while, and no submit starts.
-- Arguments: `seconds`, `reason`.
-- Reply: 1 where the breaker was not open for that reason before, else 0.
local opened = not breaker_open('') or redis.call('HGET', ACCOUNT, 'gate_reason') ~= reason
open_breaker(seconds, reason)
return opened and 1 or 0
