-- Let the head of the line in, as far as there is room.
-- ARGV: now, max in flight, submits per second, hint seconds, at most
local max_in_flight, per_second = tonumber(ARGV[2]), tonumber(ARGV[3])
local hints = {}
let_in(hints, max_in_flight, per_second, tonumber(ARGV[4]), tonumber(ARGV[5]))
local look = next_look(max_in_flight, per_second)
return { hints, look and ensure_round(look) or {} }
