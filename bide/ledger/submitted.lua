-- The provider accepted, perhaps after everybody had given its answer up.
-- ARGV: now, id, token, attempt, provider's id, seconds to the first poll, outputs ('' or JSON; 'ask' = done, ask again),
--       hint seconds
local id = ARGV[2]
local state, attempt = get(id, 'state'), get(id, 'submits')
if not state then return { 'missing' } end
if attempt ~= ARGV[4] then return { 'stale', state } end
if state == 'running' or state == 'storing' then return { 'ok' } end
local late = state == 'unconfirmed'
if state ~= 'submitting' and not late then
  set(id, 'pid', ARGV[5], 'submitted', stamp(now)) -- canceled meanwhile: the purchase stands, its id is kept
  return { 'stale', state }
end
redis.call('ZREM', UNCONFIRMED, id)
set(id, 'pid', ARGV[5], 'submitted', stamp(now), 'token', '', 'polls', 0, 'crashes', 0, 'answered', 0)
redis.call('HDEL', job_key(id), 'error', 'finished')
redis.call('HSET', ACCOUNT, 'strikes', 0, 'gate_until', 0, 'gate_reason', '')
if ARGV[7] ~= '' then
  release(id)
  set(id, 'state', 'storing', 'ended', stamp(now), 'hints', 0)
  if ARGV[7] ~= 'ask' then set(id, 'outputs', ARGV[7]) end
  hinted(id, 'bide.store', tonumber(ARGV[8]))
  return { 'hint', unpack(hint(id)) }
end
redis.call('SADD', INFLIGHT, id)
off_clocks(id)
set(id, 'state', 'running')
local at = math.min(now + ARGV[6], math.max(now, number(get(id, 'deadline'))))
redis.call('ZADD', DUE, at, id)
return { 'round', unpack(ensure_round(at)) }
