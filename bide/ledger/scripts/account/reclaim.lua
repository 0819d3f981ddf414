--- include: base clocks
-- The poller is alive and still waits for answers: it keeps its claims.
-- Arguments: `claim_seconds`, `ids` of the jobs.
-- Reply: 1.
for _, id in ipairs(ids) do redis.call('ZADD', DUE, 'XX', now + claim_seconds, id) end
return 1
