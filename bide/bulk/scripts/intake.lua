-- One process at a time takes the rows of a run in: it begins to, goes on (both with seconds), or has ended (0 seconds).
-- Arguments: `token` of the process, `seconds` for which it is taken for alive.
-- Reply: 1, or 0 where another is at it.
local INTAKE = PREFIX .. 'intake'
local owner = redis.call('GET', INTAKE)
if owner and owner ~= token then return 0 end
if seconds > 0 then
  redis.call('SET', INTAKE, token, 'PX', math.ceil(1000 * seconds))
else
  redis.call('DEL', INTAKE)
end
return 1
