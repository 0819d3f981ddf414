--- include: base record
-- The tenants of an account: each that has jobs in line has a line of its own among the scores of `queued`, by a number, and
-- a turn. Jobs without a tenant stand in line 0, and so do those of tenants beyond so many. Where no tenant has a job in line,
-- nothing of this is there but line 0. And the places at the provider, counted by tenant.
local INFLIGHT, tenants = PREFIX .. 'inflight', {}
do
  local QUEUED = PREFIX .. 'queued'
  local TENANTS = PREFIX .. 'tenants' -- each tenant with a line, by its number
  local PLACES = PREFIX .. 'places' -- how many jobs of each tenant are in flight
  -- Lines of tenants at a cap, by the moment at which they go on: far away for those that wait for a place.
  local CAPPED, ONLY_A_PLACE = PREFIX .. 'capped', 1e15
  tenants.places, tenants.capped, tenants.only_a_place = PLACES, CAPPED, ONLY_A_PLACE

  -- Line 0 has the scores of releases that know no tenants. Those see no other line, and can't read a request with a tenant.
  local BULK, LINE_WIDTH, MOST_TENANTS = 1e12, 1e11, 40000
  function tenants.line_begin(line, bulk)
    if line == 0 then return bulk * BULK, BULK end
    return 2 * BULK + (2 * line - 2 + bulk) * LINE_WIDTH, LINE_WIDTH
  end

  function tenants.jobs_in_line(line, bulk)
    local from, width = tenants.line_begin(line, bulk)
    return redis.call('ZCOUNT', QUEUED, from, string.format('(%.0f', from + width))
  end

  -- The turns of all lines of a kind, by their times. The virtual time of the kind is that of the first. A line at a cap keeps
  -- its time t as -t - 1. Line 0 is always among them: it keeps the virtual time while all others come and go.
  function tenants.turns_of(bulk) return PREFIX .. 'turns:' .. bulk end
  function tenants.first_turn(bulk, after)
    return unpack(redis.call('ZRANGEBYSCORE', tenants.turns_of(bulk), 0, '+inf', 'WITHSCORES', 'LIMIT', after, 1))
  end
  function tenants.virtual_time(bulk)
    local _, time = tenants.first_turn(bulk, 0)
    return number(time)
  end

  local tenants_in_line
  function tenants.any()
    if tenants_in_line == nil then tenants_in_line = redis.call('EXISTS', TENANTS) == 1 end
    return tenants_in_line
  end

  -- The number of a tenant's line, 0 for none.
  function tenants.line_of(tenant) return tenant and tonumber(redis.call('ZSCORE', TENANTS, tenant) or 0) or 0 end

  function tenants.names(most) return redis.call('ZRANGE', TENANTS, 0, most - 1) end

  local function new_line(tenant)
    local line = redis.call('ZCARD', TENANTS)
    if line >= MOST_TENANTS then return 0 end
    if line == 0 then
      for bulk = 0, 1 do redis.call('ZADD', tenants.turns_of(bulk), 0, 0) end
    end
    repeat line = line % MOST_TENANTS + 1 until redis.call('ZCOUNT', TENANTS, line, line) == 0
    redis.call('ZADD', TENANTS, line, tenant)
    tenants_in_line = true
    return line
  end

  -- A job of a tenant is lined up: the number of its line. A line that was empty has its turn now, and nothing in store.
  function tenants.join_line(tenant, bulk)
    if not tenant then return 0 end
    local line = tenants.line_of(tenant)
    if line == 0 then line = new_line(tenant) end
    if line > 0 and not redis.call('ZSCORE', tenants.turns_of(bulk), line) then
      local time = tenants.virtual_time(bulk)
      redis.call('ZADD', tenants.turns_of(bulk), redis.call('ZSCORE', CAPPED, line) and -time - 1 or time, line)
    end
    return line
  end

  -- Bulk runs take turns within a line: the place of the row that was let in last.
  function tenants.run_turn_field(line) return line > 0 and 'turn/' .. line or 'turn' end

  -- No job of a kind is left in a tenant's line. Where none of the other kind is either, the tenant is forgotten.
  function tenants.leave_line(line, bulk)
    redis.call('ZREM', tenants.turns_of(bulk), line)
    if redis.call('ZSCORE', tenants.turns_of(1 - bulk), line) then return end
    redis.call('ZREMRANGEBYSCORE', TENANTS, line, line)
    redis.call('ZREM', CAPPED, line)
    local reached = redis.call('HGET', ACCOUNT, tenants.run_turn_field(line))
    if reached then -- a later line of the tenant begins no earlier
      redis.call('HSET', ACCOUNT, 'turn', math.max(number(reached), account('turn')))
      redis.call('HDEL', ACCOUNT, tenants.run_turn_field(line))
    end
    if redis.call('EXISTS', TENANTS) == 0 then
      redis.call('DEL', tenants.turns_of(0), tenants.turns_of(1), CAPPED)
      tenants_in_line = false
    end
  end

  -- The job takes a place at the provider: its tenant, where it has one and had no place before.
  function tenants.take_place(id)
    if redis.call('SADD', INFLIGHT, id) == 0 then return nil end
    local tenant = get(id, 'tenant')
    if tenant then redis.call('HINCRBY', PLACES, tenant, 1) end
    return tenant
  end

  function tenants.leave_place(id)
    if redis.call('SREM', INFLIGHT, id) == 0 then return end
    local tenant = get(id, 'tenant')
    if not tenant then return end
    if redis.call('HINCRBY', PLACES, tenant, -1) <= 0 then redis.call('HDEL', PLACES, tenant) end
    local line = tenants.line_of(tenant)
    if line > 0 then redis.call('ZADD', CAPPED, 'XX', 'LT', now, line) end
  end
end
