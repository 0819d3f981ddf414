--- include: base record clocks
-- The circuit breaker of an account's submits, and its pause. After a failure the breaker is open until `gate_until`: no
-- submit starts. Then it is half-open while `strikes` counts failures: one job, the `probe`, goes ahead and finds out.

-- A paused account submits nothing until it is resumed; what was bought goes on.
local function paused() return redis.call('HEXISTS', ACCOUNT, 'paused') == 1 end

local function breaker_open() return account('gate_until') > now end
-- Asked where it is not open.
local function half_open() return account('strikes') > 0 end

-- The submit of the probe has not come to anything yet: no other starts.
local function probe_under_way()
  local id = redis.call('HGET', ACCOUNT, 'probe')
  if not id or redis.call('SISMEMBER', INFLIGHT, id) == 0 then return false end
  local state, version = unpack(redis.call('HMGET', job_key(id), 'state', 'v'))
  return not foreign(version) and (state == 'queued' or state == 'submitting')
end

-- Something that is no matter of one job keeps the account's submits back: the breaker opens for a while.
local function open_breaker(seconds, reason)
  redis.call('HSET', ACCOUNT, 'gate_until', stamp(math.max(account('gate_until'), now + seconds)), 'gate_reason', reason,
    'strikes', math.max(1, account('strikes')), 'struck_at', stamp(now))
end

-- A submit failed in a way that the next one would, too: the breaker opens for `seconds`, or (0) for twice as long at each
-- failure in a row. Submits that were on their way at the last failure are part of it.
local function count_failure(id, seconds, longest, reason)
  local failures = account('strikes')
  if failures == 0 or number(get(id, 'intended')) > account('struck_at') then
    failures = redis.call('HINCRBY', ACCOUNT, 'strikes', 1)
    redis.call('HSET', ACCOUNT, 'struck_at', stamp(now))
    if seconds <= 0 then seconds = 2 ^ math.min(failures - 1, 10) end
  end
  local open_until = math.max(account('gate_until'), now + math.min(seconds, longest))
  redis.call('HSET', ACCOUNT, 'gate_until', stamp(open_until), 'gate_reason', reason)
end

-- Whether a job that was let in may not be submitted after all: the account was paused or its breaker opened meanwhile.
local function submits_blocked(id)
  if paused() or breaker_open() then return true end
  return half_open() and probe_under_way() and redis.call('HGET', ACCOUNT, 'probe') ~= id
end
