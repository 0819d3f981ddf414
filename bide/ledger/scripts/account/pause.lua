--- include: base record breaker
-- The account submits nothing until it is resumed; polls and downloads go on.
-- Arguments: `reason`, `by` ('bide' or 'operator').
-- Reply: 1 where it was not paused before, else 0: a second reason does not replace the first.
if paused() then return 0 end
redis.call('HSET', ACCOUNT, 'paused', reason, 'paused_at', stamp(now), 'paused_by', by)
return 1
