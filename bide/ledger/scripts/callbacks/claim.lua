--- include: base record callbacks
-- A callback sender claims callbacks that are due, for as long as a claim lasts. What has become of one whose sender died
-- is not known, so that it is sent again.
-- Arguments: `most` (how many at most), `claim_seconds`.
-- Reply: for each the job's id, the number of its end, attempts, age [seconds], and the receiver's host where it is known.
local claimed = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', CALLBACKS, '-inf', now, 'LIMIT', 0, most)) do
  if has_ended(get(id, 'state')) then
    redis.call('ZADD', CALLBACKS, now + claim_seconds, id)
    claimed[#claimed + 1] = {
      id, get(id, 'callback'), get(id, 'callback_tries') or '0', stamp(now - get(id, 'callback_owed')),
      get(id, 'callback_host') or ''
    }
  else
    redis.call('ZREM', CALLBACKS, id)
  end
end
return claimed
