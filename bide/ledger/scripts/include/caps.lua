--- include: base record tenants rates
-- What a tenant may take of an account. The settings stand in the account's record as the sweeper knows them, a line for each
-- tenant: name, places, submits per second (0 each for no cap), weight. The name `*` is for any other tenant.
local caps = {}
do
  local RATES = PREFIX .. 'rates' -- tenants with a rate, by the time at which their next submit is due

  local known
  function caps.of(tenant)
    if known == nil then known = redis.call('HGET', ACCOUNT, 'tenants') or '' end
    local _, at = string.find(known, '\n' .. tenant .. ' ', 1, true)
    if not at then _, at = string.find(known, '\n* ', 1, true) end
    if not at then return 0, 0, 1 end
    local places, per_second, weight = string.match(known, '^(%S+) (%S+) (%S+)', at + 1)
    return tonumber(places), tonumber(per_second), tonumber(weight)
  end

  -- Jobs without a tenant have no caps, and weight 1.
  function caps.weight_of(tenant)
    local _, _, weight = 0, 0, 1
    if tenant then _, _, weight = caps.of(tenant) end
    return weight
  end

  local function next_submit(tenant) return number(redis.call('ZSCORE', RATES, tenant)) end

  -- Until when a tenant is at a cap; nil where it is not.
  function caps.until_when(tenant)
    local places, per_second = caps.of(tenant)
    if places > 0 and number(redis.call('HGET', tenants.places, tenant)) >= places then return tenants.only_a_place end
    if per_second <= 0 then return nil end
    local granted, theoretical, gap, burst = cells(next_submit(tenant), per_second, 1)
    return granted == 0 and math.max(now, theoretical + gap - burst) or nil
  end

  -- A job of the tenant was let in. Of tenants that were idle for long enough nothing is kept.
  function caps.book(tenant)
    local _, per_second = caps.of(tenant)
    if per_second <= 0 then return end
    local _, theoretical, gap = cells(next_submit(tenant), per_second, 1)
    redis.call('ZREMRANGEBYSCORE', RATES, '-inf', now)
    redis.call('ZADD', RATES, string.format('%.6f', theoretical + gap), tenant)
  end

  -- A job of the tenant was let in, and is not submitted after all.
  function caps.unbook(tenant)
    if not tenant or next_submit(tenant) == 0 then return end
    local _, per_second = caps.of(tenant)
    if per_second > 0 then redis.call('ZINCRBY', RATES, string.format('%.6f', -1 / per_second), tenant) end
  end

  -- The line of a tenant at a cap is passed over until it goes on; it keeps its turns.
  function caps.set_aside(line, moment)
    tenants.wait = true
    redis.call('ZADD', tenants.capped, moment, line)
    for bulk = 0, 1 do
      local time = redis.call('ZSCORE', tenants.turns_of(bulk), line)
      if time and tonumber(time) >= 0 then redis.call('ZADD', tenants.turns_of(bulk), -time - 1, line) end
    end
  end

  -- Lines whose time has come go on, with no turn in store.
  local waits_ended
  function caps.end_waits()
    if tenants.wait == nil then tenants.wait = redis.call('EXISTS', tenants.capped) == 1 end
    if not tenants.wait or waits_ended then return end
    waits_ended = true
    for _, line in ipairs(redis.call('ZRANGEBYSCORE', tenants.capped, '-inf', now)) do
      redis.call('ZREM', tenants.capped, line)
      for bulk = 0, 1 do
        local time = redis.call('ZSCORE', tenants.turns_of(bulk), line)
        if time then redis.call('ZADD', tenants.turns_of(bulk), math.max(-time - 1, tenants.virtual_time(bulk)), line) end
      end
    end
  end

  -- When the first of them goes on by time alone.
  function caps.open_at()
    if not tenants.wait then return nil end
    local first = redis.call('ZRANGEBYSCORE', tenants.capped, '-inf', string.format('(%.0f', tenants.only_a_place), 'WITHSCORES', 'LIMIT', 0, 1)
    return tonumber(first[2])
  end

  -- The sweeper brings the settings of this process, counts the places anew, and has all that wait looked at again.
  function caps.refresh(settings)
    if settings ~= (redis.call('HGET', ACCOUNT, 'tenants') or '') then
      if settings == '' then redis.call('HDEL', ACCOUNT, 'tenants') else redis.call('HSET', ACCOUNT, 'tenants', settings) end
    end
    known = settings
    local waiting = redis.call('ZRANGE', tenants.capped, 0, -1)
    if #waiting == 0 then return end
    for _, line in ipairs(waiting) do redis.call('ZADD', tenants.capped, now, line) end
    redis.call('DEL', tenants.places)
    for _, id in ipairs(redis.call('SMEMBERS', INFLIGHT)) do
      local tenant = get(id, 'tenant')
      if tenant then redis.call('HINCRBY', tenants.places, tenant, 1) end
    end
  end
end
