-- An operator says that the account is well again: nothing holds its submits back. ARGV: now. Returns 1 where something did.
local held = paused() or account('gate_until') > now or account('strikes') > 0
redis.call('HDEL', ACCOUNT, 'paused', 'paused_at', 'paused_by', 'strikes', 'struck_at', 'gate_until', 'gate_reason', 'doubts', 'probe')
return held and 1 or 0
