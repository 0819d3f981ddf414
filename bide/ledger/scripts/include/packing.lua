--- include: constants record callbacks
-- A finished record is packed once all callers know the end, and no callback is owed: Python compresses what explains the job,
-- since Redis can't, and `job/pack` puts that in its place. `bide/ledger/kept.py` says what stays.

-- What scripts still look at stays a field. A late answer is compared with the number of its submit where no purchase is known.
local function stays(id, field)
  return kept_as(field) == 'plain' or (field == 'submits' and not get(id, 'pid'))
end

-- What of a record is to be packed: its id at the provider, which the reader will know, then names and values by turns; nothing
-- where the record stays as it is.
local function to_pack(id)
  local found, fields = { get(id, 'pid') or '' }, redis.call('HGETALL', job_key(id))
  if get(id, '0') or not FINAL[get(id, 'state')] or get(id, 'answered') ~= '1' or redis.call('TTL', job_key(id)) < 0 then return {} end
  if redis.call('ZSCORE', CALLBACKS, id) or redis.call('ZSCORE', UNDELIVERED, id) then return {} end
  for i = 1, #fields, 2 do
    if kept_as(fields[i]) == 'whole' then return {} end
    if not stays(id, fields[i]) then
      found[#found + 1] = fields[i]
      found[#found + 1] = fields[i + 1]
    end
  end
  for i, value in ipairs(redis.call('HMGET', body_key(id), 'request', 'polls')) do
    if value then
      found[#found + 1] = i == 1 and 'request' or 'poll_log'
      found[#found + 1] = value
    end
  end
  return found
end
