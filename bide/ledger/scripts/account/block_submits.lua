-- The provider refuses the account: no submits for a while. ARGV: now, seconds, reason. Returns 1 where it was open before.
local opened = account('gate_until') <= now or redis.call('HGET', ACCOUNT, 'gate_reason') ~= ARGV[3]
redis.call('HSET', ACCOUNT, 'gate_until', stamp(math.max(account('gate_until'), now + ARGV[2])), 'gate_reason', ARGV[3],
  'strikes', math.max(1, account('strikes')), 'struck_at', stamp(now))
return opened and 1 or 0
