-- A step that could not be done this time: let go of it, to be told again in a while.
-- ARGV: now, id, token, seconds, hint seconds, note, outputs again? ('ask' forgets the recorded ones), max in flight,
--       submits per second
local id = ARGV[2]
local state = get(id, 'state')
if get(id, 'token') ~= ARGV[3] or state == 'submitting' then return {} end
redis.call('HINCRBY', job_key(id), 'tries', 1)
set(id, 'note', ARGV[6])
clear(id, 'crashes')
if ARGV[7] == 'ask' then
  clear(id, 'outputs')
  redis.call('HINCRBY', job_key(id), 'asked', 1)
end
hinted(id, get(id, 'queue'), tonumber(ARGV[4]) + tonumber(ARGV[5]))
if state ~= 'queued' then return { hint(id), {} } end
-- Nothing was bought yet: others have its place meanwhile, and its hint brings it back into the line.
release(id)
set(id, 'parked', 1)
local look = next_look(tonumber(ARGV[8]), tonumber(ARGV[9]))
return { hint(id), look and ensure_round(look) or {} }
