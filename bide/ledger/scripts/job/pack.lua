--- include: record packing
-- What explains a finished job has been compressed: it takes the place of the fields that it was made of, and of the request.
-- The record stays as it is where one of them has changed meanwhile.
-- Arguments: `id`, `packed` and its `part_bytes`: how much of it stands in one field; and the `fields` that it was made of.
-- Reply: 1, or 0 where the record stays as it is.
local found = to_pack(id)
if #found == 0 then return 0 end
local values, count = {}, 0
for i = 1, #fields, 2 do
  values[fields[i]] = fields[i + 1]
  count = count + 1
end
if #found ~= 2 * count + 1 then return 0 end
for i = 2, #found, 2 do
  if values[found[i]] ~= found[i + 1] then return 0 end
end

local kept, all = {}, redis.call('HGETALL', job_key(id))
for i = 1, #all, 2 do
  if stays(id, all[i]) then
    kept[#kept + 1] = all[i]
    kept[#kept + 1] = all[i + 1]
  end
end
for first = 1, #packed, part_bytes do
  kept[#kept + 1] = string.format('%d', (first - 1) / part_bytes)
  kept[#kept + 1] = string.sub(packed, first, first + part_bytes - 1)
end
local left = redis.call('PTTL', job_key(id))
redis.call('DEL', job_key(id), body_key(id))
redis.call('HSET', job_key(id), unpack(kept))
redis.call('PEXPIRE', job_key(id), left)
return 1
