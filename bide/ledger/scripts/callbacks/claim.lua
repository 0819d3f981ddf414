-- Callbacks that are due, for as long as a claim lasts; what has become of one whose claimer died is not known, so that
-- it is sent again. Its host is known where it was put off before. ARGV: now, at most, claim seconds
local claimed = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', CALLBACKS, '-inf', now, 'LIMIT', 0, tonumber(ARGV[2]))) do
  if callable(id) then
    redis.call('ZADD', CALLBACKS, now + ARGV[3], id)
    claimed[#claimed + 1] = {
      id, get(id, 'callback'), get(id, 'callback_tries') or '0', stamp(now - get(id, 'callback_owed')),
      get(id, 'callback_host') or ''
    }
  else
    redis.call('ZREM', CALLBACKS, id)
  end
end
return claimed
