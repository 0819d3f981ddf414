-- The provider accepted, perhaps after everybody had given its answer up.
-- ARGV: now, id, token, attempt, provider's id, seconds to the first poll, outputs ('' or JSON; 'ask' = done, ask again),
--       hint seconds, max in flight, submits per second, the provider's estimate of the whole ('' or seconds)
local id, hint_seconds, max_in_flight, per_second = ARGV[2], tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local state, attempt = get(id, 'state'), get(id, 'submits')
if not state then return { {}, {} } end
local waits = state == 'unconfirmed' or state == 'queued' -- that an earlier attempt was accepted settles it as well
local goes_on = state == 'running' or state == 'storing' or (FINAL[state] and get(id, 'pid'))
if (attempt ~= ARGV[4] and not waits) or goes_on then
  -- Submitted again meanwhile, or an operator has attached another: all purchases stand, all ids are kept.
  if get(id, 'pid') ~= ARGV[5] then also_bought(id, ARGV[5]) end
  return { {}, {} }
end
set(id, 'pid', ARGV[5], 'submitted', stamp(now))
if FINAL[state] then return { {}, {} } end -- canceled meanwhile: the purchase stands, its id is kept

-- `unconfirmed` and `queued` (to be submitted again) had given the answer up: it comes late, and the job goes on.
if state ~= 'submitting' then more_time(id) end
redis.call('ZREM', UNCONFIRMED, id)
set(id, 'token', '')
clear(id, 'polls', 'tries', 'asked', 'crashes', 'hints', 'answered', 'error', 'finished', 'ran', 'estimate', 'doubt')
if ARGV[11] ~= '' then set(id, 'estimate', ARGV[11]) end
local recovered = false
if number(get(id, 'intended')) > account('struck_at') then
  recovered = account('strikes') > 0
  redis.call('HSET', ACCOUNT, 'strikes', 0, 'gate_until', 0, 'gate_reason', '', 'doubts', 0)
end
if ARGV[7] == '' then
  redis.call('SADD', INFLIGHT, id)
  redis.call('SREM', TOLD, id)
  off_clocks(id)
  set(id, 'state', 'running')
  local at = math.min(now + ARGV[6], math.max(now, number(get(id, 'deadline'))))
  redis.call('ZADD', DUE, at, id)
  local hints = {} -- a bulk job that went leaves its turn to another, the one that went ahead to all
  if recovered or get(id, 'bulk') then let_in(hints, max_in_flight, per_second, hint_seconds, 10) end
  local look = next_look(max_in_flight, per_second)
  return { hints, ensure_round(look and math.min(look, at) or at) }
end
release(id)
set(id, 'state', 'storing', 'ended', stamp(now))
if ARGV[7] ~= 'ask' then set(id, 'outputs', ARGV[7]) end
hinted(id, 'bide.store', hint_seconds)
local hints = { hint(id) }
let_in(hints, max_in_flight, per_second, hint_seconds, 10)
local look = next_look(max_in_flight, per_second)
return { hints, look and ensure_round(look) or {} }
