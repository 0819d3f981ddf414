--- include: base record clocks
-- The worker is alive: its leases go on.
-- Arguments: `lease_seconds`, and `leases`, each with `id` and `token`.
-- Reply: the ids of jobs whose lease is lost.
local lost = {}
for _, lease in ipairs(leases) do
  if get(lease.id, 'token') == lease.token and redis.call('ZSCORE', LEASE, lease.id) then
    redis.call('ZADD', LEASE, now + lease_seconds, lease.id)
  else
    lost[#lost + 1] = lease.id
  end
end
return lost
