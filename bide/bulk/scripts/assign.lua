--- include: base
-- The feeder asks which rows the next part of the results holds. That is decided here once, so that each process that writes
-- the part writes the same. A row that was taken up as bought is compared first (`bought.lua`).
-- Arguments: `rows`, each with `row`, `live` (what the run notes of it) and `ending` (how it ended).
-- Reply: the part's number, and its rows ('row:ending' joined by blanks, '' for none).
local RECORD, LIVE, BOUGHT = PREFIX .. 'record', PREFIX .. 'live', PREFIX .. 'bought'
local pending = redis.call('HGET', RECORD, 'pending')
if not pending then
  local assigned = {}
  for _, each in ipairs(rows) do
    local as_read = redis.call('HGET', LIVE, each.row) == each.live
    if as_read and redis.call('HEXISTS', BOUGHT, each.row) == 0 then assigned[#assigned + 1] = each.row .. ':' .. each.ending end
  end
  pending = table.concat(assigned, ' ')
  if pending ~= '' then redis.call('HSET', RECORD, 'pending', pending) end
end
return { number(redis.call('HGET', RECORD, 'part')), pending }
