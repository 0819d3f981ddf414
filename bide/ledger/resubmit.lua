-- An operator says that an unconfirmed submit was not accepted, or is to be made again all the same.
-- ARGV: now, id, max in flight, submits per second
local id = ARGV[2]
if get(id, 'state') ~= 'unconfirmed' then return { 0, {} } end
redis.call('ZREM', UNCONFIRMED, id)
clear(id, 'error', 'finished', 'answered', 'crashes')
set(id, 'note', 'submitted again by an operator')
more_time(id)
line_up(id)
local look = next_look(tonumber(ARGV[3]), tonumber(ARGV[4]))
return { 1, look and ensure_round(look) or {} }
