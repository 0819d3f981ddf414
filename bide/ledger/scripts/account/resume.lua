--- include: record lanes breaker
-- An operator says that the account is well again: neither a pause nor a breaker of it or its lanes stops its submits.
-- Reply: 1 where one of them did, else 0.
local blocked = paused() or breaker_open('') or half_open('')
local lanes_blocked = redis.call('DEL', LANE_BREAKERS, PREFIX .. 'passed') > 0
redis.call('HDEL', ACCOUNT, 'paused', 'paused_at', 'paused_by', 'strikes', 'struck_at', 'gate_until', 'gate_reason', 'doubts', 'probe',
  'struck_lane')
return (blocked or lanes_blocked) and 1 or 0
