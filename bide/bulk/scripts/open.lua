--- include: base constants record clocks lanes
-- Rows of a run become jobs in line. A job's record and the run's note that it was opened are written together: a row whose
-- record is missing was never opened, or its record is gone for good, and which of the two is known. A row that was bought before
-- the ledger went back has its job already, maybe at a fallback. `PREFIX` is the account's.
-- Keys: `live_rows` (the run's), `accounts` (the set of all accounts).
-- Arguments: `account_name`, `run`, and `rows`, each with `row`, `live` (what the run notes of it), `id` of the job ('' where it
--   can't be opened), `request`, `signature`, `operation`, `allowed_seconds`, `resubmit` (in doubt), `fingerprint`, `callback`
--   (whether the request asks for one), `lane` of the request or '', how many `fallbacks` it names, its `tenant` or ''.
-- Reply: how many were opened.
local names = redis.call('SMEMBERS', accounts)
redis.call('SADD', accounts, account_name)
local opened = 0

-- Whether the job at an account is the row, with its request.
local function is_row(each, at)
  local whose, fp = unpack(redis.call('HMGET', string.format('bide:{%s}:job:%s', at, each.id), 'run', 'fp'))
  return whose == run and fp == each.fingerprint
end

for _, each in ipairs(rows) do
  if redis.call('HGET', live_rows, each.row) == each.live then
    local id, kind, noted = each.id, 'x', string.sub(each.live, 2) -- it has no request any more, or another job has its id
    local has = id ~= '' and (get(id, 'state') and account_name or in_another_account(id, names, account_name))
    if has and is_row(each, has) then
      kind, noted = 'o', string.gsub(noted, '^( %S+ %S+ %S+ )%S+', '%1' .. has)
    elseif id ~= '' and not has then
      kind = 'o'
      set(id, 'v', VERSION, 'op', each.operation, 'created', stamp(now), 'deadline', stamp(now + FAR),
        'allowed', each.allowed_seconds, 'fp', each.fingerprint, 'bulk', 1, 'run', run)
      note_lane(id, each.lane)
      if each.tenant ~= '' then set(id, 'tenant', each.tenant) end
      if each.resubmit then set(id, 'resubmit', 1) end
      if each.callback then set(id, 'callback', 0) end
      if each.fallbacks > 0 then set(id, 'fallbacks', each.fallbacks) end
      redis.call('HSET', body_key(id), 'request', each.request, 'signature', each.signature)
      redis.call('ZADD', RECENT, stamp(now), id)
      line_up(id)
      opened = opened + 1
    end
    redis.call('HSET', live_rows, each.row, kind .. noted)
  end
end
return opened
