-- A step that could not be done this time: let go of it, to be told again in a while.
-- ARGV: now, id, token, seconds, hint seconds, note, outputs again? ('ask' forgets the recorded ones)
local id = ARGV[2]
if get(id, 'token') ~= ARGV[3] or get(id, 'state') == 'submitting' then return {} end
redis.call('HINCRBY', job_key(id), 'tries', 1)
set(id, 'note', ARGV[6])
clear(id, 'crashes')
if ARGV[7] == 'ask' then clear(id, 'outputs') end
hinted(id, get(id, 'queue'), tonumber(ARGV[4]) + tonumber(ARGV[5]))
return hint(id)
