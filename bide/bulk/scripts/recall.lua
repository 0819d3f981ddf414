--- include: base record clocks
-- A run is paused or canceled: its rows that wait in line or for a budget, and were never sent to the provider, are taken back. So
-- are those that wait for a budget, and of which each submit was surely not accepted.
-- `PREFIX` is the account's. A row that waits at a fallback is to begin at its first account again, unless that may have charged for it.
-- Keys: `live_rows` (the run's).
-- Arguments: `rows`, each with `row`, `live` (what the run notes of it) and `id` of the job.
-- Reply: how many were taken back.
local function never_bought(id)
  if get(id, 'paid_before') then return false end
  if not get(id, 'submits') then return true end
  local doubts = get(id, 'again') or get(id, 'resubmitted') or number(get(id, 'doubted')) > 0
  return get(id, 'over_budget') and get(id, 'booked') == '' and not doubts
end

local recalled = 0
for _, each in ipairs(rows) do
  local id = each.id
  local waits = redis.call('ZSCORE', QUEUED, id) or get(id, 'over_budget')
  if redis.call('HGET', live_rows, each.row) == each.live and waits and never_bought(id) then
    local live, tried = each.live, get(id, 'tried')
    if tried then
      local first = cjson.decode(tried)[1]
      live = string.gsub(live, '^(%S+ %S+ %S+ %S+ )%S+', '%1' .. first.provider .. '/' .. first.account)
    end
    off_clocks(id)
    redis.call('ZREM', RECENT, id)
    redis.call('DEL', job_key(id), body_key(id))
    redis.call('HSET', live_rows, each.row, 'c' .. string.sub(live, 2))
    recalled = recalled + 1
  end
end
return recalled
