-- About to buy: from here on nobody submits this job again by himself.
-- ARGV: now, id, token, lease seconds
local id = ARGV[2]
if get(id, 'token') ~= ARGV[3] then return 0 end
local state = get(id, 'state')
if state == 'submitting' then return number(get(id, 'submits')) end
if state ~= 'queued' then return 0 end
leased(id, ARGV[3], tonumber(ARGV[4]))
set(id, 'state', 'submitting', 'intended', stamp(now))
return redis.call('HINCRBY', job_key(id), 'submits', 1)
