--- include: base
-- The next rows of the input become live, as far as the run's limits allow. A budget that is in a currency reserves each purchase
-- with its intent: here no more rows become live than it has room for by now. A run without a currency, as of earlier releases,
-- has the price of each row reserved here. A row that was bought before the run came to it (`bought.lua`) is passed over.
-- Arguments: `token` of the feeder's lease, `first_row`, `buys` (else the rows are only ended), `window`, and `rows`, each
--   with `live` (what to note of it; '' where it repeats an earlier row), its `price`, and `next_offset`, where the input goes
--   on after it.
-- Reply: how many rows were taken, and what stopped it ('' for nothing; `bought` before a row that is to be compared first).
local RECORD, LIVE, BOUGHT, AHEAD = PREFIX .. 'record', PREFIX .. 'live', PREFIX .. 'bought', PREFIX .. 'ahead'
local function field(name) return number(redis.call('HGET', RECORD, name)) end
if redis.call('GET', PREFIX .. 'feeder') ~= token or field('row') ~= first_row then return { 0, 'lost' } end
if buys and redis.call('HGET', RECORD, 'state') ~= 'running' then return { 0, 'state' } end
local budget, most = redis.call('HGET', RECORD, 'budget'), redis.call('HGET', RECORD, 'max_jobs')
local jobs, alive = field('jobs'), redis.call('HLEN', LIVE)
local reserved, spent = field('reserved'), field('spent')
local by_book = redis.call('HGET', RECORD, 'budget_currency')

local function stopped_by(price)
  if alive >= window then return 'window' end
  if buys and most and jobs >= tonumber(most) then return 'max_jobs' end
  if buys and budget and spent + reserved + price > tonumber(budget) then return 'budget' end
end

local taken, stopped, offset = 0, nil, nil
for _, each in ipairs(rows) do
  local row = first_row + taken
  if redis.call('HEXISTS', BOUGHT, row) == 1 then stopped = 'bought' break end
  if redis.call('SREM', AHEAD, row) == 0 and each.live ~= '' then
    stopped = stopped_by(each.price)
    if stopped then break end
    redis.call('HSET', LIVE, row, each.live)
    alive = alive + 1
    if buys then jobs, reserved = jobs + 1, reserved + each.price end
  end
  taken, offset = taken + 1, each.next_offset
end
if taken > 0 then
  redis.call('HSET', RECORD, 'row', first_row + taken, 'offset', offset, 'jobs', jobs)
  if not by_book then redis.call('HSET', RECORD, 'reserved', string.format('%.0f', reserved)) end
end
return { taken, stopped or '' }
