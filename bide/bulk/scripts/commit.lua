--- include: base
-- A part of the results is written: its rows are done, and what was reserved for them is settled. Where the run's budget has a
-- currency, the book of each purchase has done that.
-- Arguments: `part`, `spent`, and `counts`: names and numbers of what is counted.
-- Reply: 1, or 0 where that was done already.
local RECORD, LIVE = PREFIX .. 'record', PREFIX .. 'live'
local pending = redis.call('HGET', RECORD, 'pending')
if not pending or number(redis.call('HGET', RECORD, 'part')) ~= part then return 0 end
local unreserved = 0
for row in string.gmatch(pending, '(%d+):') do
  unreserved = unreserved + tonumber(string.match(redis.call('HGET', LIVE, row) or '', '^. %d+ %d+ (%d+)') or 0)
  redis.call('HDEL', LIVE, row)
end
redis.call('HDEL', RECORD, 'pending', 'ready_since')
redis.call('HINCRBY', RECORD, 'part', 1)
if not redis.call('HGET', RECORD, 'budget_currency') then
  redis.call('HSET', RECORD, 'reserved', string.format('%.0f', number(redis.call('HGET', RECORD, 'reserved')) - unreserved))
  redis.call('HINCRBY', RECORD, 'spent', spent)
end
for i = 1, #counts, 2 do redis.call('HINCRBY', RECORD, counts[i], counts[i + 1]) end
return 1
