-- One at a time takes the rows of a run in: it begins to, goes on (both with seconds), or has ended (0 seconds).
-- KEYS: the run's prefix. ARGV: now, token, seconds. Returns 1, or 0 where another is at it.
local INTAKE = P .. 'intake'
local held = redis.call('GET', INTAKE)
if held and held ~= ARGV[2] then return 0 end
if tonumber(ARGV[3]) > 0 then
  redis.call('SET', INTAKE, ARGV[2], 'PX', math.ceil(1000 * tonumber(ARGV[3])))
else
  redis.call('DEL', INTAKE)
end
return 1
