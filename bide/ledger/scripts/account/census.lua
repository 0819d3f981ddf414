-- One page of a clock or list, looked at and left as it is: how many of its jobs are in which state, and when the oldest of
-- each was created. ARGV: now, name of the clock, offset, page
local found, at = {}, {}
local ids = redis.call('ZRANGE', P .. ARGV[2], ARGV[3], ARGV[3] + ARGV[4] - 1)
for _, id in ipairs(ids) do
  local state, created = unpack(redis.call('HMGET', job_key(id), 'state', 'created'))
  if state then
    created = number(created)
    if not at[state] then
      found[#found + 1] = { state, 0, stamp(created) }
      at[state] = found[#found]
    end
    at[state][2] = at[state][2] + 1
    if created < tonumber(at[state][3]) then at[state][3] = stamp(created) end
  end
end
return { #ids, found }
