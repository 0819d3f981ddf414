--- include: base
-- A worker looks whether the ledger is the one that it was, and leaves the time of its look. A ledger that lacks a look
-- which the worker knows of went back, as by an old backup. That is noted once, and stands until an operator confirms it.
-- Keys: `ledger`, what is known of the ledger as a whole.
-- Arguments: `id` of the ledger that the worker expects ('' for none), `seen_at`: the time of the latest look that it knows
--   of, `tolerated_seconds`: how much a failover may lose, `keep_seconds`: between two looks that are kept elsewhere, too.
-- Reply: the ledger's id ('' for none), the time of its last look, that of the look which it has lost ('' for none), and 1
--   where this worker is to keep the time of its look elsewhere.
local found = redis.call('HMGET', ledger, 'id', 'looked_at', 'went_back_from', 'kept_at')
local looked_at, went_back_from, keeps = number(found[2]), found[3], 0
if id ~= '' and found[1] == id and not went_back_from then
  if looked_at < seen_at - tolerated_seconds then
    went_back_from = stamp(seen_at)
    redis.call('HSET', ledger, 'went_back_from', went_back_from)
  else
    looked_at = math.max(looked_at, now)
    redis.call('HSET', ledger, 'looked_at', stamp(looked_at))
    if now >= number(found[4]) + keep_seconds then
      keeps = 1
      redis.call('HSET', ledger, 'kept_at', stamp(now))
    end
  end
end
return { found[1] or '', stamp(looked_at), went_back_from or '', keeps }
