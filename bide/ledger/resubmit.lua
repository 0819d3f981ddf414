-- An operator says that an unconfirmed submit was not accepted, or is to be made again all the same.
-- ARGV: now, id, max in flight, submits per second
local id, said = ARGV[2], 'submitted again by an operator'
local state = get(id, 'state')
if state == 'queued' and get(id, 'note') == said then return { 1, {} } end -- only the answer was lost
if state ~= 'unconfirmed' then return { 0, {} } end
redis.call('ZREM', UNCONFIRMED, id)
clear(id, 'error', 'finished', 'answered', 'crashes')
set(id, 'note', said, 'resubmitted', number(get(id, 'resubmitted')) + 1, 'doubt', get(id, 'submits') or 0)
more_time(id)
line_up(id)
local look = next_look(tonumber(ARGV[3]), tonumber(ARGV[4]))
return { 1, look and ensure_round(look) or {} }
