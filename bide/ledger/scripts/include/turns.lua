--- include: base record clocks passed_over tenants caps
-- Whose turn it is: interactive jobs come before bulk ones. Within a kind the tenants take turns, each by its weight, and the
-- jobs of a tenant come in their order. Lines whose jobs are all kept back, and tenants at a cap, are passed over.

-- The first job of a kind in a line, and its tenant. A record of another version is set aside, once: it goes behind all others
-- of its line. Its own version finds it there, and no other checks it again.
local first_in_line, turns = nil, {}
do
  local MOST_SET_ASIDE = 500
  local function first_of(line, bulk)
    local from, width = tenants.line_begin(line, bulk)
    local begin, passed = begin_at(from), nil
    for _ = 1, MOST_SET_ASIDE do
      local id, place = unpack(redis.call('ZRANGEBYSCORE', QUEUED, begin, string.format('(%.0f', from + width), 'WITHSCORES', 'LIMIT',
        passed_over[from], 1))
      if not id then break end
      local state, version, operation, lane, tenant = unpack(redis.call('HMGET', job_key(id), 'state', 'v', 'op', 'lane', 'tenant'))
      if not state then
        redis.call('ZREM', QUEUED, id)
      elseif not foreign(version) then
        if not passes_over(operation, lane) then
          if passed then note_passed(from, passed) end
          return id, tenant
        end
        passed_over[from], passed = passed_over[from] + 1, place
      elseif tonumber(place) >= from + width / 2 then
        break
      else
        redis.call('ZADD', QUEUED, place + width / 2, id)
      end
    end
    if passed then note_passed(from, passed) end
  end

  -- The turn of the job that was found last, for `turns.take`: nil where there are no tenants.
  local next_turn

  -- What was passed over has had its turn, and has none in store.
  local function end_turns(passed, bulk, time)
    for _, line in ipairs(passed) do redis.call('ZADD', tenants.turns_of(bulk), time + 1, line) end
  end

  -- The first job whose turn it is among those of a kind.
  local function first_of_kind(bulk)
    local passed = {}
    while tenants.any() do
      local line, time = tenants.first_turn(bulk, #passed)
      if not line then return nil end
      line, time = tonumber(line), tonumber(time)
      local id, tenant = first_of(line, bulk)
      local moment = id and line > 0 and caps.until_when(tenant)
      if moment then
        caps.set_aside(line, moment)
      elseif id then
        end_turns(passed, bulk, time)
        next_turn = { line = line, bulk = bulk, time = time, tenant = line > 0 and tenant }
        return id
      elseif line > 0 and tenants.jobs_in_line(line, bulk) == 0 then
        tenants.leave_line(line, bulk)
      else
        passed[#passed + 1] = line
      end
    end
    next_turn = nil
    return (first_of(0, bulk))
  end

  -- The first in line, and whether it is a bulk job.
  function first_in_line()
    if tenants.any() then caps.end_waits() end
    for bulk = 0, 1 do
      local id = first_of_kind(bulk)
      if id then return id, bulk == 1 end
    end
  end

  -- A job is let in that need not wait for its turn, since there are places for all before it.
  local function take_out_of_turn(id)
    caps.end_waits()
    local tenant, bulk = unpack(redis.call('HMGET', job_key(id), 'tenant', 'bulk'))
    local line, turns_of_kind = tenants.line_of(tenant), tenants.turns_of(number(bulk))
    if number(redis.call('ZSCORE', turns_of_kind, line) or -1) < 0 then return end
    redis.call('ZINCRBY', turns_of_kind, 1 / caps.weight_of(line > 0 and tenant), line)
  end

  -- A job is let in: the next turn of its line comes later, the sooner the greater its weight.
  function turns.take(id)
    local turn = next_turn
    next_turn = nil
    if turn then
      redis.call('ZADD', tenants.turns_of(turn.bulk), turn.time + 1 / caps.weight_of(turn.tenant), turn.line)
    elseif tenants.any() then
      take_out_of_turn(id)
    end
  end

  -- How many jobs may come before one that is in line; more than do, where tenants take turns.
  function turns.jobs_before(id)
    if not tenants.any() then return redis.call('ZRANK', QUEUED, id) end
    local from, width = tenants.line_begin(tenants.line_of(get(id, 'tenant')), number(get(id, 'bulk')))
    local score = redis.call('ZSCORE', QUEUED, id)
    return redis.call('ZCARD', QUEUED) - redis.call('ZCOUNT', QUEUED, score, string.format('(%.0f', from + width))
  end
end
