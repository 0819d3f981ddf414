-- Let the head of the line in, as far as there is room.
-- ARGV: now, max in flight, submits per second, hint seconds, at most
local max_in_flight, per_second = tonumber(ARGV[2]), tonumber(ARGV[3])
local hints = {}
while #hints < tonumber(ARGV[5]) do
  local free = room(max_in_flight, per_second)
  local id = free > 0 and redis.call('ZRANGE', QUEUED, 0, 0)[1]
  if not id then break end
  admit(id, per_second)
  hinted(id, 'bide.submit', tonumber(ARGV[4]))
  hints[#hints + 1] = hint(id)
end
local look = next_look(max_in_flight, per_second)
return { hints, look and ensure_round(look) or {} }
