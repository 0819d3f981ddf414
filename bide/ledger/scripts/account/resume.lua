--- include: record breaker
-- An operator says that the account is well again: neither a pause nor its breaker stops its submits.
-- Reply: 1 where one of them did, else 0.
local blocked = paused() or breaker_open() or half_open()
redis.call('HDEL', ACCOUNT, 'paused', 'paused_at', 'paused_by', 'strikes', 'struck_at', 'gate_until', 'gate_reason', 'doubts', 'probe')
return blocked and 1 or 0
