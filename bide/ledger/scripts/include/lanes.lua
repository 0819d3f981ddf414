--- include: base record
-- The lanes of an account: what durations and circuit breakers depend on within an operation, such as the model. The name of a
-- lane is `OPERATION LANE`. An account has so many at most, each by the time at which it was last used. The jobs of further
-- lanes go by their operation and their account; a lane that is idle for long makes room for another.
local LANES, LANE_BREAKERS = PREFIX .. 'lanes', PREFIX .. 'lane_breakers'
local LANE_IDLE_SECONDS = 24 * 3600

-- A worker knows the lane of a job's request.
local function note_lane(id, lane)
  if lane ~= '' then set(id, 'lane', lane) end
end

local function lane_name(operation, lane) return lane and operation .. ' ' .. lane or '' end

-- The name of a job's lane, '' for none.
local function lane_of(id) return lane_name(unpack(redis.call('HMGET', job_key(id), 'op', 'lane'))) end

local function has_lane(name) return redis.call('HEXISTS', LANES, name) == 1 end

local function close_lane(name)
  local BREAKER_FIELDS = { 'gate_until', 'gate_reason', 'strikes', 'struck_at', 'probe' }
  redis.call('DEL', PREFIX .. 'passed') -- its jobs are passed over no more
  for _, field in ipairs(BREAKER_FIELDS) do redis.call('HDEL', LANE_BREAKERS, field .. ':' .. name) end
end

-- Whether there is room for one more.
local function has_room()
  local MOST_LANES = 40
  if redis.call('HLEN', LANES) < MOST_LANES then return true end
  local lanes, idle, since = redis.call('HGETALL', LANES), nil, now - LANE_IDLE_SECONDS
  for i = 1, #lanes, 2 do
    if tonumber(lanes[i + 1]) < since then idle, since = lanes[i], tonumber(lanes[i + 1]) end
  end
  if not idle then return false end
  redis.call('HDEL', LANES, idle)
  redis.call('HDEL', PREFIX .. 'durations', idle)
  close_lane(idle)
  return true
end

-- The provider has answered a submit of a lane: its name, '' where there is none or the account has too many.
local function use_lane(name)
  local LANE_NOTED_SECONDS = 60
  if name == '' then return '' end
  local used = redis.call('HGET', LANES, name)
  if not used and not has_room() then return '' end
  if number(used) < now - LANE_NOTED_SECONDS then redis.call('HSET', LANES, name, stamp(now)) end
  return name
end
