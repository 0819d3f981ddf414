--- include: base
-- A feeder goes; the run is looked at again in some seconds.
-- Keys: `live_runs` (the clock of all runs that are not over).
-- Arguments: `run`, `token` of the lease, `seconds`.
-- Reply: 1; 0 where the lease had passed on; 2 where an operator wants the run looked at now.
if redis.call('GET', PREFIX .. 'feeder') ~= token then return 0 end
redis.call('DEL', PREFIX .. 'feeder')
if redis.call('HGET', PREFIX .. 'record', 'called') == '1' then
  redis.call('HDEL', PREFIX .. 'record', 'called')
  redis.call('ZADD', live_runs, 'XX', now, run)
  return 2
end
redis.call('ZADD', live_runs, 'XX', now + seconds, run)
return 1
