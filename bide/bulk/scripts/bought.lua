-- Rows were taken up as bought, after the ledger had gone back or was lost (`bide recover`), and the feeder has compared each with
-- the request of its job. A row that the run has not come to yet is live from now on, and is passed over when the run comes to it:
-- it is paid. A live row that is another request has lost its job id to that job.
-- Arguments: `token` of the feeder's lease, and `rows`, each with `row`, `noted` (what recovery noted of it), `live` (what to note
--   of it; '' where it is another request, or was counted) and its `price`.
-- Reply: how many became live.
local RECORD, LIVE, BOUGHT = PREFIX .. 'record', PREFIX .. 'live', PREFIX .. 'bought'
if redis.call('GET', PREFIX .. 'feeder') ~= token then return 0 end
local by_book, begun = redis.call('HGET', RECORD, 'budget_currency'), 0
for _, each in ipairs(rows) do
  if redis.call('HGET', BOUGHT, each.row) == each.noted then
    local own = redis.call('HGET', LIVE, each.row)
    redis.call('HDEL', BOUGHT, each.row)
    if own and each.live == '' then
      redis.call('HSET', LIVE, each.row, 'x' .. string.sub(own, 2))
    elseif not own and each.live ~= '' then
      redis.call('HSET', LIVE, each.row, each.live)
      redis.call('SADD', PREFIX .. 'ahead', each.row)
      redis.call('HINCRBY', RECORD, 'jobs', 1)
      if not by_book then redis.call('HINCRBY', RECORD, 'reserved', each.price) end
      begun = begun + 1
    end
  end
end
return begun
