--- include: base record tenants lanes
-- The circuit breakers of an account's submits, and its pause. After a failure a breaker is open until `gate_until`: no
-- submit starts. Then it is half-open while `strikes` counts failures: one job, the `probe`, goes ahead and finds out. The
-- account has a breaker, and so has each lane: `lane` is its name, '' for the account. A lane's fields bear its name.

-- A paused account submits nothing until it is resumed; what was bought goes on.
local function paused() return redis.call('HEXISTS', ACCOUNT, 'paused') == 1 end

local function breaker_field(lane, field)
  if lane == '' then return ACCOUNT, field end
  return LANE_BREAKERS, field .. ':' .. lane
end
local function breaker(lane, field) return redis.call('HGET', breaker_field(lane, field)) end

-- Whether the breaker of any lane is not closed: asked once, since that is seldom so.
local lanes_troubled
local function lane_trouble()
  if lanes_troubled == nil then lanes_troubled = redis.call('EXISTS', LANE_BREAKERS) == 1 end
  return lanes_troubled
end

local function set_breaker(lane, field, value)
  local key, name = breaker_field(lane, field)
  redis.call('HSET', key, name, value)
  if lane ~= '' then lanes_troubled = true end
end

local function breaker_open(lane) return number(breaker(lane, 'gate_until')) > now end
-- Asked where it is not open.
local function half_open(lane) return number(breaker(lane, 'strikes')) > 0 end

-- The submit of the probe has not come to anything yet: no other starts.
local function probe_under_way(lane)
  local id = breaker(lane, 'probe')
  if not id or redis.call('SISMEMBER', INFLIGHT, id) == 0 then return false end
  local state, version = unpack(redis.call('HMGET', job_key(id), 'state', 'v'))
  return not foreign(version) and (state == 'queued' or state == 'submitting')
end

-- Whether a job is the one ahead that finds out, for its account or its lane: all others wait for it.
local function is_probe(id)
  if get(id, 'state') ~= 'queued' then return false end
  local function of(lane) return half_open(lane) and breaker(lane, 'probe') == id end
  return of('') or (lane_trouble() and of(lane_of(id)))
end

-- Whether a breaker keeps a job back.
local function kept_back(lane, id)
  if breaker_open(lane) then return true end
  return half_open(lane) and probe_under_way(lane) and breaker(lane, 'probe') ~= id
end

-- The job that goes ahead, where a breaker that concerns it is half-open and has none.
local function go_ahead(id)
  for _, lane in ipairs(lane_trouble() and { '', lane_of(id) } or { '' }) do
    if half_open(lane) and not probe_under_way(lane) then set_breaker(lane, 'probe', id) end
  end
end

-- Something that is no matter of one job keeps the account's submits back: its breaker opens for a while.
local function open_breaker(seconds, reason)
  redis.call('HSET', ACCOUNT, 'gate_until', stamp(math.max(account('gate_until'), now + seconds)), 'gate_reason', reason,
    'strikes', math.max(1, account('strikes')), 'struck_at', stamp(now))
end

-- A submit failed in a way that the next one would, too: a breaker opens for `seconds`, or (0) for twice as long at each
-- failure in a row. Submits that were on their way at the last failure are part of it.
local function count_failure(lane, id, seconds, longest, reason)
  local failures = number(breaker(lane, 'strikes'))
  if failures == 0 or number(get(id, 'intended')) > number(breaker(lane, 'struck_at')) then
    failures = failures + 1
    set_breaker(lane, 'strikes', string.format('%.0f', failures))
    set_breaker(lane, 'struck_at', stamp(now))
    if seconds <= 0 then seconds = 2 ^ math.min(failures - 1, 10) end
  end
  local open_until = math.max(number(breaker(lane, 'gate_until')), now + math.min(seconds, longest))
  set_breaker(lane, 'gate_until', stamp(open_until))
  set_breaker(lane, 'gate_reason', reason)
end

-- Such a failure of a job counts for its lane. It is the account's as well where the account's breaker is half-open, or where
-- another lane failed before it and no submit was accepted between the two: `struck_lane` is the lane that failed last.
local function count_job_failure(id, seconds, longest, reason)
  local lane, before = use_lane(lane_of(id)), redis.call('HGET', ACCOUNT, 'struck_lane')
  if lane ~= '' then
    count_failure(lane, id, seconds, longest, reason)
    redis.call('EXPIRE', LANE_BREAKERS, LANE_IDLE_SECONDS)
    redis.call('HSET', ACCOUNT, 'struck_lane', lane)
  end
  if lane == '' or half_open('') or (before and before ~= lane) then count_failure('', id, seconds, longest, reason) end
end

-- A submit was accepted that was begun after the last failure: the breakers of its account and lane close. Returns whether
-- one of them was not closed.
local function count_success(id)
  local operation, own, intended = unpack(redis.call('HMGET', job_key(id), 'op', 'lane', 'intended'))
  local strikes, struck_at, struck = unpack(redis.call('HMGET', ACCOUNT, 'strikes', 'struck_at', 'struck_lane'))
  local lane, recovered = use_lane(lane_name(operation, own)), false
  intended = number(intended)
  if struck and intended > number(breaker(struck, 'struck_at')) then redis.call('HDEL', ACCOUNT, 'struck_lane') end
  if lane ~= '' and lane_trouble() and half_open(lane) and intended > number(breaker(lane, 'struck_at')) then
    recovered = true
    close_lane(lane)
  end
  if intended > number(struck_at) then
    recovered = recovered or number(strikes) > 0
    redis.call('HSET', ACCOUNT, 'strikes', 0, 'gate_until', 0, 'gate_reason', '', 'doubts', 0)
  end
  return recovered
end

-- Whether a job that was let in may not be submitted after all: the account was paused or a breaker opened meanwhile.
local function submits_blocked(id)
  return paused() or kept_back('', id) or (lane_trouble() and kept_back(lane_of(id), id))
end
