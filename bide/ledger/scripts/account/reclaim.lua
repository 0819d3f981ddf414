-- The poller is alive and still asking. ARGV: now, claim seconds, then the ids it waits for.
for i = 3, #ARGV do redis.call('ZADD', DUE, 'XX', now + ARGV[2], ARGV[i]) end
return 1
