--- include: base
-- An operator, or the run itself, has it go on, pause or end.
-- Keys: `live_runs` (the clock of all runs that are not over), `ended_runs` (that of the others).
-- Arguments: `run`, `action`, `note`, `retention_seconds`, and `limits`: fields and values of new limits.
-- Reply: 1, or 0 where the run is in no state for it; and its state.
local RECORD = PREFIX .. 'record'
local transitions = {
  begin = { starting = 'running' },
  forget = { starting = 'canceled' },
  pause = { running = 'paused' },
  resume = { paused = 'running' },
  cancel = { running = 'canceling', paused = 'canceling' },
  finish = { running = 'finished', paused = 'finished', canceling = 'canceled' },
}
local state = redis.call('HGET', RECORD, 'state') or ''
local to = transitions[action][state]
if action == 'resume' and state == 'running' and #limits > 0 then to = 'running' end -- under other limits
if not to then return { 0, state } end
redis.call('HSET', RECORD, 'state', to, 'note', note)
if #limits > 0 then redis.call('HSET', RECORD, unpack(limits)) end
if action == 'resume' and state == 'paused' then
  local ready = cjson.decode(redis.call('HGET', RECORD, 'ready') or '{}') -- ended, and not in the results yet
  local failed = number(ready.failed) + number(ready.unconfirmed)
  failed = failed + number(redis.call('HGET', RECORD, 'failed')) + number(redis.call('HGET', RECORD, 'unconfirmed'))
  redis.call('HSET', RECORD, 'forgiven', failed)
end
if to ~= 'finished' and to ~= 'canceled' then
  redis.call('ZADD', live_runs, now, run)
  if redis.call('EXISTS', PREFIX .. 'feeder') == 1 then redis.call('HSET', RECORD, 'called', 1) end
  return { 1, to }
end
redis.call('HSET', RECORD, 'finished', stamp(now))
redis.call('HDEL', RECORD, 'ready', 'in_line', 'in_flight')
for _, key in ipairs({ RECORD, PREFIX .. 'live' }) do redis.call('EXPIRE', key, retention_seconds) end
redis.call('DEL', PREFIX .. 'bought', PREFIX .. 'ahead')
redis.call('ZREM', live_runs, run)
redis.call('ZREMRANGEBYSCORE', ended_runs, '-inf', now - retention_seconds)
redis.call('ZADD', ended_runs, now, run)
redis.call('EXPIRE', ended_runs, retention_seconds)
return { 1, to }
