--- include: base
-- Runs are found whose feeder should have looked at them: their messages were lost. Each is put off, so that one message is
-- sent at a time. `PREFIX` is not used.
-- Keys: `live_runs` (the clock of all runs that are not over).
-- Arguments: `late_seconds`.
-- Reply: the runs.
local runs = redis.call('ZRANGEBYSCORE', live_runs, '-inf', now - late_seconds, 'LIMIT', 0, 100)
for _, run in ipairs(runs) do redis.call('ZADD', live_runs, now, run) end
return runs
