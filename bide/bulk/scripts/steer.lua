-- An operator, or the run itself, has it go on, pause or end. KEYS: the run's prefix, the clock of live runs, that of ended
-- ones. ARGV: now, run, action, note, retention seconds, then field and value of new limits. Returns 1 or 0, and the state.
local RECORD = P .. 'record'
local moves = {
  begin = { starting = 'running' },
  forget = { starting = 'canceled' },
  pause = { running = 'paused' },
  resume = { paused = 'running' },
  cancel = { running = 'canceling', paused = 'canceling' },
  finish = { running = 'finished', paused = 'finished', canceling = 'canceled' },
}
local state = redis.call('HGET', RECORD, 'state') or ''
local to = moves[ARGV[3]][state]
if not to then return { 0, state } end
redis.call('HSET', RECORD, 'state', to, 'note', ARGV[4])
if #ARGV > 5 then redis.call('HSET', RECORD, unpack(ARGV, 6)) end
if ARGV[3] == 'resume' then
  local ready = cjson.decode(redis.call('HGET', RECORD, 'ready') or '{}') -- ended, and not in the results yet
  local failed = number(ready.failed) + number(ready.unconfirmed)
  failed = failed + number(redis.call('HGET', RECORD, 'failed')) + number(redis.call('HGET', RECORD, 'unconfirmed'))
  redis.call('HSET', RECORD, 'forgiven', failed)
end
if to ~= 'finished' and to ~= 'canceled' then
  redis.call('ZADD', KEYS[2], now, ARGV[2])
  if redis.call('EXISTS', P .. 'feeder') == 1 then redis.call('HSET', RECORD, 'called', 1) end
  return { 1, to }
end
redis.call('HSET', RECORD, 'finished', stamp(now))
redis.call('HDEL', RECORD, 'ready', 'in_line', 'in_flight')
for _, key in ipairs({ RECORD, P .. 'live' }) do redis.call('EXPIRE', key, ARGV[5]) end
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - tonumber(ARGV[5]))
redis.call('ZADD', KEYS[3], now, ARGV[2])
redis.call('EXPIRE', KEYS[3], ARGV[5])
return { 1, to }
