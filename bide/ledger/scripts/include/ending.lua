--- include: base record clocks tenant_counts unconfirmed followers callbacks money
-- The job's end (or, for `unconfirmed`, its callers'). It is recorded first; the worker that gets the hint tells the caller.
local METRICS = PREFIX .. 'metrics'

-- The job ends at its account, whatever becomes of it.
local function end_here(id, state, field, value)
  release(id)
  redis.call('ZREM', UNCONFIRMED, id)
  set(id, 'state', state, field, value, 'finished', stamp(now))
  clear(id, 'answered', 'crashes', 'hints', 'home', 'settling')
end

-- `called_back`: the receiver of its callback has had that.
local function conclude(id, state, field, value, called_back)
  end_here(id, state, field, value)
  if state == 'unconfirmed' then
    redis.call('ZADD', UNCONFIRMED, now, id)
    if get(id, 'contract') == 'listing' then no_doubt(id) end -- nothing is promised: an operator settles it
  else
    follow_again(id)
    local leader, tenant = unpack(redis.call('HMGET', job_key(id), 'leader', 'tenant'))
    if not leader then redis.call('HINCRBY', METRICS, 'ended_jobs:' .. state, 1) end
    if tenant then tenant_counts.add(tenant, state) end
  end
  if not called_back then owe_callback(id) end
end
