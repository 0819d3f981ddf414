--- include: base
-- What is counted of tenants for metrics. So many are counted by name, each by the time of its last job; those beyond are
-- counted together. A tenant that was idle for a day makes room for another.
local tenant_counts = { OTHER = 'other', KINDS = { 'submitted', 'succeeded', 'failed', 'canceled', 'over_budget' } }
do
  local NAMED, COUNTS = PREFIX .. 'named_tenants', PREFIX .. 'tenant_metrics'
  local MOST_NAMED, IDLE_SECONDS, NOTED_SECONDS = 50, 24 * 3600, 60

  local function has_room()
    if redis.call('ZCARD', NAMED) < MOST_NAMED then return true end
    local idle, used = unpack(redis.call('ZRANGE', NAMED, 0, 0, 'WITHSCORES'))
    if tonumber(used) >= now - IDLE_SECONDS then return false end
    redis.call('ZREM', NAMED, idle)
    for _, kind in ipairs(tenant_counts.KINDS) do redis.call('HDEL', COUNTS, kind .. ':' .. idle) end
    return true
  end

  -- Whether the tenant is counted by name.
  local function has_name(tenant)
    local used = redis.call('ZSCORE', NAMED, tenant)
    if not used and not has_room() then return false end
    if number(used) < now - NOTED_SECONDS then redis.call('ZADD', NAMED, stamp(now), tenant) end
    return true
  end

  function tenant_counts.add_submitted(tenant)
    redis.call('HINCRBY', COUNTS, 'submitted:' .. (has_name(tenant) and tenant or tenant_counts.OTHER), 1)
  end

  -- A job of the tenant has ended, or found no room in a budget. Only the first one of a kind has to be looked at.
  function tenant_counts.add(tenant, kind)
    local first = redis.call('HINCRBY', COUNTS, kind .. ':' .. tenant, 1) == 1
    if not first or tenant == tenant_counts.OTHER or has_name(tenant) then return end
    redis.call('HDEL', COUNTS, kind .. ':' .. tenant)
    redis.call('HINCRBY', COUNTS, kind .. ':' .. tenant_counts.OTHER, 1)
  end

  function tenant_counts.of(tenant)
    local fields = {}
    for i, kind in ipairs(tenant_counts.KINDS) do fields[i] = kind .. ':' .. tenant end
    return redis.call('HMGET', COUNTS, unpack(fields))
  end

  function tenant_counts.names() return redis.call('ZRANGE', NAMED, 0, -1) end
end
