-- Which rows the next part of the results holds: decided here once, so that whoever writes it writes the same.
-- KEYS: the run's prefix. ARGV: now, then row, what the run noted of it, and how it ended. Returns the part's number and
-- its rows ('row:end' joined by blanks, '' = there are none).
local RECORD, LIVE = P .. 'record', P .. 'live'
local pending = redis.call('HGET', RECORD, 'pending')
if not pending then
  local rows = {}
  for i = 2, #ARGV, 3 do
    if redis.call('HGET', LIVE, ARGV[i]) == ARGV[i + 1] then rows[#rows + 1] = ARGV[i] .. ':' .. ARGV[i + 2] end
  end
  pending = table.concat(rows, ' ')
  if pending ~= '' then redis.call('HSET', RECORD, 'pending', pending) end
end
return { number(redis.call('HGET', RECORD, 'part')), pending }
