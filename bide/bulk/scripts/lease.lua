-- One feeder at a time has a run: taken, or kept. Until the lease ends nobody else looks at the run.
-- KEYS: the run's prefix, the clock of all runs. ARGV: now, run, token, seconds, early seconds (''  = to keep it).
-- Returns 1, or 0 where it is another's, or nothing is to be done yet.
local held = redis.call('GET', P .. 'feeder')
if held and held ~= ARGV[3] then return 0 end
local look = redis.call('ZSCORE', KEYS[2], ARGV[2])
if not look then return 0 end
-- A message that was sent twice must not become two rows of messages: only what comes when it is due goes on.
if not held and (ARGV[5] == '' or tonumber(look) > now + tonumber(ARGV[5])) then return 0 end
redis.call('SET', P .. 'feeder', ARGV[3], 'PX', math.ceil(1000 * tonumber(ARGV[4])))
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[4]), ARGV[2])
return 1
