--- include: clocks tenants tenant_counts
-- The tenants of an account are counted, for people and metrics: those that are counted by name, and those that have jobs in
-- line or in flight.
-- Arguments: `most` (how many at most).
-- Reply: how many jobs are in line and in flight in all, and how many in line have no tenant; then for each tenant its name,
--   its jobs in line and in flight, when it goes on ('' where it is at no cap), 1 where it is counted by name, and for each of
--   `KINDS` how many jobs there were, '' for none. The last of them is `other`, of those that are not counted by name.
local found, seen = {}, {}

local function add(tenant, by_name)
  if seen[tenant] or #found >= most then return end
  seen[tenant] = true
  local line, in_line = tenants.line_of(tenant), 0
  for bulk = 0, line > 0 and 1 or -1 do in_line = in_line + tenants.jobs_in_line(line, bulk) end
  local capped = redis.call('ZSCORE', tenants.capped, line) or ''
  local counts = tenant_counts.of(tenant)
  for i = 1, #tenant_counts.KINDS do counts[i] = by_name and counts[i] or '' end
  found[#found + 1] = { tenant, in_line, redis.call('HGET', tenants.places, tenant) or 0, capped, by_name and 1 or 0, unpack(counts) }
end

for _, tenant in ipairs(tenant_counts.names()) do add(tenant, true) end
for _, tenant in ipairs(tenants.names(most)) do add(tenant) end
for _, tenant in ipairs(redis.call('HKEYS', tenants.places)) do add(tenant) end
local others = tenant_counts.of(tenant_counts.OTHER)
for i = 1, #tenant_counts.KINDS do others[i] = others[i] or '' end
found[#found + 1] = { tenant_counts.OTHER, 0, 0, '', 0, unpack(others) }
local without = tenants.jobs_in_line(0, 0) + tenants.jobs_in_line(0, 1)
return { redis.call('ZCARD', QUEUED), redis.call('SCARD', INFLIGHT), without, found }
