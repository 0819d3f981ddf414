-- The next rows of the input become live, as far as the run's limits allow; each one's price is reserved with it.
-- KEYS: the run's prefix. ARGV: now, token, first row, buys (1) or only ends them (0), window, then for each row: what to
-- note of it ('' = it repeats an earlier row), its price, and where the input goes on after it. Returns how many rows were
-- taken, and what stopped it ('' = nothing).
local RECORD, LIVE = P .. 'record', P .. 'live'
local function field(name) return number(redis.call('HGET', RECORD, name)) end
local row, buys = tonumber(ARGV[3]), ARGV[4] == '1'
if redis.call('GET', P .. 'feeder') ~= ARGV[2] or field('row') ~= row then return { 0, 'lost' } end
if buys and redis.call('HGET', RECORD, 'state') ~= 'running' then return { 0, 'state' } end
local budget, most = redis.call('HGET', RECORD, 'budget'), redis.call('HGET', RECORD, 'max_jobs')
local jobs, live, window = field('jobs'), redis.call('HLEN', LIVE), tonumber(ARGV[5])
local reserved, spent = field('reserved'), field('spent')

local function stopped_by(price)
  if live >= window then return 'window' end
  if buys and most and jobs >= tonumber(most) then return 'max_jobs' end
  if buys and budget and spent + reserved + price > tonumber(budget) then return 'budget' end
end

local taken, stopped, offset = 0, nil, nil
for i = 6, #ARGV, 3 do
  local said, price = ARGV[i], tonumber(ARGV[i + 1])
  if said ~= '' then
    stopped = stopped_by(price)
    if stopped then break end
    redis.call('HSET', LIVE, row + taken, said)
    live = live + 1
    if buys then jobs, reserved = jobs + 1, reserved + price end
  end
  taken, offset = taken + 1, ARGV[i + 2]
end
if taken > 0 then
  redis.call('HSET', RECORD, 'row', row + taken, 'offset', offset, 'jobs', jobs, 'reserved', string.format('%.0f', reserved))
end
return { taken, stopped or '' }
