--- include: base record
-- One page of a clock or list is counted, and left as it is.
-- Arguments: `clock` (its name), `offset`, `page` (how many jobs).
-- Reply: how many jobs the page had; then for each state its name, how many jobs are in it, and when the oldest was created.
local counts, count_of = {}, {}
local ids = redis.call('ZRANGE', PREFIX .. clock, offset, offset + page - 1)
for _, id in ipairs(ids) do
  local state, created = unpack(redis.call('HMGET', job_key(id), 'state', 'created'))
  if state then
    created = number(created)
    local count = count_of[state]
    if not count then
      count = { state, 0, stamp(created) }
      counts[#counts + 1], count_of[state] = count, count
    end
    count[2] = count[2] + 1
    if created < tonumber(count[3]) then count[3] = stamp(created) end
  end
end
return { #ids, counts }
