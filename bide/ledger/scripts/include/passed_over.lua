--- include: base clocks lanes breaker
-- The jobs of a lane whose breaker keeps them back keep their places, and are passed over: how many of each kind, as far as
-- this script has come, and when the first of these breakers opens (0: only when a job has found out).
local passed_over, lane_opens, lanes_kept_back, one_finds_out = {}, 0, {}, false
local function keeps_back(lane)
  if lanes_kept_back[lane] == nil then
    local opens = number(breaker(lane, 'gate_until'))
    lanes_kept_back[lane] = kept_back(lane, '')
    if opens > now then
      if lane_opens == 0 or opens < lane_opens then lane_opens = opens end
    elseif lanes_kept_back[lane] then
      one_finds_out = true
    end
  end
  return lanes_kept_back[lane]
end
local function passes_over(operation, own) return own and lane_trouble() and keeps_back(lane_name(operation, own)) or false end

local function forget_kept_back() lanes_kept_back = {} end

-- A long line is not read by each script: until the first of these breakers opens all begin at the last job that one has
-- passed over, or (`begin_no_later`) at one that was lined up before it. `PASSED` has that place for each kind, and the time.
local PASSED_NOTED = 20
local begins = {}
local function begin_at(from)
  if begins[from] then return begins[from] end
  local place, opens = string.match(lane_trouble() and redis.call('HGET', PASSED, from) or '', '^(%S+) (%S+)$')
  local noted = opens and now < tonumber(opens)
  begins[from], passed_over[from] = noted and place or string.format('%.0f', from), 0
  if noted and (lane_opens == 0 or tonumber(opens) < lane_opens) then lane_opens = tonumber(opens) end
  return begins[from]
end
local function note_passed(from, place)
  if passed_over[from] < PASSED_NOTED or one_finds_out or lane_opens <= now then return end
  redis.call('HSET', PASSED, from, string.format('%.0f %s', place, stamp(lane_opens)))
  redis.call('EXPIRE', PASSED, math.ceil(lane_opens - now))
end
