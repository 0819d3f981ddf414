--- include: base record breaker
-- The provider refuses the account: its breaker opens for a while, and no submit starts.
-- Arguments: `seconds`, `reason`.
-- Reply: 1 where the breaker was not open for that reason before, else 0.
local opened = not breaker_open() or redis.call('HGET', ACCOUNT, 'gate_reason') ~= reason
redis.call('HSET', ACCOUNT, 'gate_until', stamp(math.max(account('gate_until'), now + seconds)), 'gate_reason', reason,
  'strikes', math.max(1, account('strikes')), 'struck_at', stamp(now))
return opened and 1 or 0
