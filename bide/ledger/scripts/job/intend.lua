-- About to buy: from here on nobody submits this job again by himself.
-- ARGV: now, id, token, lease seconds. Returns the number of this attempt; 0 where somebody else has the job, -1 where it
-- stands in line again, since its account was paused or struck while its inputs were fetched, -2 where its deadline has passed.
local id = ARGV[2]
if get(id, 'token') ~= ARGV[3] then return redis.call('ZSCORE', QUEUED, id) and -1 or 0 end
local state = get(id, 'state')
if state == 'submitting' then return number(get(id, 'submits')) end
if state ~= 'queued' then return 0 end
if shut(id) then
  stand_back(id)
  return -1
end
if now >= number(get(id, 'deadline')) then return -2 end
leased(id, ARGV[3], tonumber(ARGV[4]))
set(id, 'state', 'submitting', 'intended', stamp(now))
clear(id, 'doubt')
return redis.call('HINCRBY', job_key(id), 'submits', 1)
