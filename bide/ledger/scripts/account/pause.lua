-- No submits of this account until it is resumed; polls and downloads go on. ARGV: now, reason, who ('bide' or 'operator').
-- Returns 1 where it was not paused before: a second reason does not replace the first.
if paused() then return 0 end
redis.call('HSET', ACCOUNT, 'paused', ARGV[2], 'paused_at', stamp(now), 'paused_by', ARGV[3])
return 1
