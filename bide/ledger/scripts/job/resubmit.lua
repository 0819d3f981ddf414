-- An operator says that an unconfirmed submit was not accepted, or is to be made again all the same.
-- ARGV: now, id, max in flight, submits per second
local id, said = ARGV[2], 'submitted again by an operator'
local state = get(id, 'state')
if state == 'queued' and get(id, 'note') == said then return { 1, {} } end -- only the answer was lost
if state ~= 'unconfirmed' then return { 0, {} } end
redis.call('ZREM', UNCONFIRMED, id)
clear(id, 'error', 'finished', 'answered', 'crashes')
local attempt = get(id, 'submits') or '0'
if get(id, 'doubt') ~= attempt then redis.call('HINCRBY', job_key(id), 'resubmitted', 1) end -- else it counts already
set(id, 'note', said, 'doubt', attempt)
more_time(id)
line_up(id)
local look = next_look(tonumber(ARGV[3]), tonumber(ARGV[4]))
return { 1, look and ensure_round(look) or {} }
