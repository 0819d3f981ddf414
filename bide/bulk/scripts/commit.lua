-- A part of the results is written: its rows are done, and what was reserved for them is settled.
-- KEYS: the run's prefix. ARGV: now, part, spent, then name and number of what is counted. Returns 1, or 0 where that was
-- done already.
local RECORD, LIVE = P .. 'record', P .. 'live'
local pending = redis.call('HGET', RECORD, 'pending')
if not pending or number(redis.call('HGET', RECORD, 'part')) ~= tonumber(ARGV[2]) then return 0 end
local settled = 0
for row in string.gmatch(pending, '(%d+):') do
  settled = settled + tonumber(string.match(redis.call('HGET', LIVE, row) or '', '^. %d+ %d+ (%d+)') or 0)
  redis.call('HDEL', LIVE, row)
end
redis.call('HDEL', RECORD, 'pending', 'ready_since')
redis.call('HINCRBY', RECORD, 'part', 1)
redis.call('HSET', RECORD, 'reserved', string.format('%.0f', number(redis.call('HGET', RECORD, 'reserved')) - settled))
redis.call('HINCRBY', RECORD, 'spent', ARGV[3])
for i = 4, #ARGV, 2 do redis.call('HINCRBY', RECORD, ARGV[i], ARGV[i + 1]) end
return 1
