-- What came of one callback: delivered, again (after `seconds`) or failed for good, which puts it on a list.
-- ARGV: now, id, number of the end it told of, outcome, seconds, note, retention seconds
local id, outcome, retention = ARGV[2], ARGV[4], tonumber(ARGV[7])
if get(id, 'callback') ~= ARGV[3] then return 0 end -- the job has ended anew meanwhile, and that is still to be told
redis.call('ZREM', CALLBACKS, id)
if outcome == 'delivered' or not callable(id) then
  redis.call('ZREM', UNDELIVERED, id)
  set(id, 'callback_note', 'delivered')
  if get(id, 'collected') then redis.call('DEL', job_key(id), body_key(id), followers_key(id)) end
  return 1
end
redis.call('HINCRBY', job_key(id), 'callback_tries', 1)
set(id, 'callback_note', ARGV[6])
keep(id, retention)
if outcome == 'again' then
  redis.call('ZADD', CALLBACKS, now + ARGV[5], id)
else
  redis.call('ZADD', UNDELIVERED, now, id)
  redis.call('ZREMRANGEBYSCORE', UNDELIVERED, '-inf', now - retention)
  redis.call('EXPIRE', UNDELIVERED, retention)
end
return 1
