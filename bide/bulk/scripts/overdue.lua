-- Runs that should have been looked at: their messages were lost. Each is put off, so that one message is sent at a time.
-- KEYS: anything, the clock of all runs. ARGV: now, late seconds, again seconds
local runs = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[2]), 'LIMIT', 0, 100)
for _, run in ipairs(runs) do redis.call('ZADD', KEYS[2], now, run) end
return runs
