--- include: base
-- A run begins, or is found.
-- Keys: `live_runs` (the clock of all runs that are not over).
-- Arguments: `run`, and `record`: fields and values of its record.
-- Reply: 1; or 0, with the digest of the input and the state of the run of that name.
local RECORD = PREFIX .. 'record'
local digest = redis.call('HGET', RECORD, 'digest')
if digest then return { 0, digest, redis.call('HGET', RECORD, 'state') } end
redis.call('HSET', RECORD, 'created', stamp(now), unpack(record))
redis.call('ZADD', live_runs, now, run)
return { 1 }
