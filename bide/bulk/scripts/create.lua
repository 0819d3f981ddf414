-- A run begins, or is found. KEYS: the run's prefix, the clock of all runs. ARGV: now, run, then field and value of the
-- record. Returns 1, or 0 with the digest of the input and the state of the run of that name.
local RECORD = P .. 'record'
local digest = redis.call('HGET', RECORD, 'digest')
if digest then return { 0, digest, redis.call('HGET', RECORD, 'state') } end
redis.call('HSET', RECORD, 'created', stamp(now), unpack(ARGV, 3))
redis.call('ZADD', KEYS[2], now, ARGV[2])
return { 1 }
