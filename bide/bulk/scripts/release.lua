-- A feeder goes; the run is looked at again in some seconds. KEYS: the run's prefix, the clock of all runs.
-- ARGV: now, run, token, seconds. Returns 1, or 0 where the lease had passed on, or an operator wants it looked at sooner.
if redis.call('GET', P .. 'feeder') ~= ARGV[3] then return 0 end
redis.call('DEL', P .. 'feeder')
if redis.call('HGET', P .. 'record', 'called') == '1' then
  redis.call('HDEL', P .. 'record', 'called')
  redis.call('ZADD', KEYS[2], 'XX', now, ARGV[2])
  return 2
end
redis.call('ZADD', KEYS[2], 'XX', now + tonumber(ARGV[4]), ARGV[2])
return 1
