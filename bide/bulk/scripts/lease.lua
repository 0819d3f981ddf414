--- include: base
-- One feeder at a time has a run: it takes the lease, or keeps it. Until the lease ends no other looks at the run.
-- Keys: `live_runs` (the clock of all runs that are not over).
-- Arguments: `run`, `token` of the lease, `seconds`, `early_seconds` (how long before its time a run may be taken; none to keep
--   the lease).
-- Reply: 1, or 0 where the run is another's, or nothing is to be done yet.
local owner = redis.call('GET', PREFIX .. 'feeder')
if owner and owner ~= token then return 0 end
local due = redis.call('ZSCORE', live_runs, run)
if not due then return 0 end
-- A message that was sent twice must not become two rows of messages: only what comes when it is due goes on.
if not owner and (not early_seconds or tonumber(due) > now + early_seconds) then return 0 end
redis.call('SET', PREFIX .. 'feeder', token, 'PX', math.ceil(1000 * seconds))
redis.call('ZADD', live_runs, now + seconds, run)
return 1
