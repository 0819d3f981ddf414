-- The time, and how times and numbers stand in Redis.
local now = TEST_TIME
if not now then
  local t = redis.call('TIME')
  now = t[1] + t[2] / 1000000
end

local function stamp(seconds) return string.format('%.3f', seconds) end
local function number(value) return tonumber(value or 0) or 0 end
