-- The worker is alive. ARGV: now, lease seconds, then id and token of each lease. Returns the ids it no longer holds.
local lost = {}
for i = 3, #ARGV, 2 do
  if get(ARGV[i], 'token') == ARGV[i + 1] and redis.call('ZSCORE', LEASE, ARGV[i]) then
    redis.call('ZADD', LEASE, now + ARGV[2], ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
