-- A run is paused or canceled: what waits in line and was never sent to the provider is taken back.
-- KEYS: account's prefix, the run's live rows. ARGV: now, then row, what the run noted of it, and job id. Returns how many.
local recalled = 0
for i = 2, #ARGV, 3 do
  local row, said, id = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if redis.call('HGET', KEYS[2], row) == said and redis.call('ZSCORE', QUEUED, id) and not get(id, 'submits') then
    redis.call('ZREM', QUEUED, id)
    redis.call('DEL', job_key(id), body_key(id))
    redis.call('HSET', KEYS[2], row, 'c' .. string.sub(said, 2))
    recalled = recalled + 1
  end
end
return recalled
