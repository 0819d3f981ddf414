-- The provider refuses the account: no submits for a while. ARGV: now, seconds, reason
redis.call('HSET', ACCOUNT, 'gate_until', stamp(math.max(account('gate_until'), now + ARGV[2])), 'gate_reason', ARGV[3],
  'strikes', math.max(1, account('strikes')), 'struck_at', stamp(now))
return 1
