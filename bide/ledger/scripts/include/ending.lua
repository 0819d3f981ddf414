--- include: base record clocks unconfirmed followers callbacks money
-- The job's end (or, for `unconfirmed`, its callers'). It is recorded first; the worker that gets the hint tells the caller.
local METRICS = PREFIX .. 'metrics'

-- The job ends at its account, whatever becomes of it.
local function end_here(id, state, field, value)
  release(id)
  leave_budget_line(id)
  redis.call('ZREM', UNCONFIRMED, id)
  set(id, 'state', state, field, value, 'finished', stamp(now))
  clear(id, 'answered', 'crashes', 'hints', 'home', 'settling')
end

local function conclude(id, state, field, value)
  end_here(id, state, field, value)
  if state == 'unconfirmed' then
    redis.call('ZADD', UNCONFIRMED, now, id)
  else
    follow_again(id)
    if not get(id, 'leader') then redis.call('HINCRBY', METRICS, 'ended_jobs:' .. state, 1) end
  end
  owe_callback(id)
end
