--- include: base record clocks lanes breaker unconfirmed
-- A worker is about to buy: it writes the intent. From here on no process submits this job again by itself.
-- Arguments: `id`, `token` of the worker's lease, `lease_seconds`, and what it buys with: `base_url` and `adapter`, '' each
--   where the caller does not say. `lane` of its request, '' for none.
-- Reply: the number of this attempt; 0 where another has the job; -1 where the job stands in line again, since its account
--   was paused or a breaker opened while its inputs were fetched; -2 where its deadline has passed.
if get(id, 'token') ~= token then return redis.call('ZSCORE', QUEUED, id) and -1 or 0 end
local state = get(id, 'state')
if state == 'submitting' then return number(get(id, 'submits')) end
if state ~= 'queued' then return 0 end
note_lane(id, lane)
if submits_blocked(id) then
  return_to_line(id)
  return -1
end
if now >= number(get(id, 'deadline')) then return -2 end
go_ahead(id)
leased(id, token, lease_seconds)
set(id, 'state', 'submitting', 'intended', stamp(now))
clear(id, 'doubt')
bought_with(id, '', base_url, adapter)
return redis.call('HINCRBY', job_key(id), 'submits', 1)
