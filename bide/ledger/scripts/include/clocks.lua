--- include: base constants record tenants
-- The clocks of an account, and the line.
local QUEUED, LEASE, DUE = PREFIX .. 'queued', PREFIX .. 'lease', PREFIX .. 'due'
local CALLED_UP = PREFIX .. 'told' -- bulk jobs that were let in, and whose message no worker has taken yet

-- The job waits for a budget no more.
local function leave_budget_line(id)
  local name = get(id, 'over_budget')
  if not name then return end
  redis.call('ZREM', PREFIX .. 'over_budget:' .. name, id)
  clear(id, 'over_budget', 'note')
end

local function off_clocks(id)
  leave_budget_line(id)
  redis.call('ZREM', QUEUED, id)
  redis.call('ZREM', LEASE, id)
  redis.call('ZREM', DUE, id)
end

-- The job needs its place at the provider no more.
local function release(id)
  tenants.leave_place(id)
  redis.call('SREM', CALLED_UP, id)
end

-- No worker has the job, and a message is under way to `queue`: it is sent again when `seconds` have passed.
local function hinted(id, queue, seconds)
  off_clocks(id)
  redis.call('ZADD', LEASE, now + seconds, id)
  set(id, 'token', '', 'queue', queue)
end

-- The message that brings a worker to the job: id, queue, signature.
local function hint(id)
  local signature = redis.call('HGET', body_key(id), 'signature')
  return { id, get(id, 'queue') or SUBMIT_QUEUE, signature or '' }
end

-- A worker has the job.
local function leased(id, token, seconds)
  off_clocks(id)
  redis.call('ZADD', LEASE, now + seconds, id)
  redis.call('SREM', CALLED_UP, id)
  set(id, 'token', token)
  clear(id, 'hints')
end

-- Bulk runs take turns in line: a run's next row comes after its last one, and no earlier than the row let in now.
local function turn(run, line)
  local reached = redis.call('HGET', ACCOUNT, tenants.run_turn_field(line)) or account('turn')
  local next = math.max(account('turn:' .. run) + 1, number(reached))
  redis.call('HSET', ACCOUNT, 'turn:' .. run, next)
  return next
end

-- What scripts have passed over of the line (see `passed_over`) reaches no further than to a job that is lined up.
local PASSED = PREFIX .. 'passed'
local function begin_no_later(from, score)
  local place, opens = string.match(redis.call('HGET', PASSED, from) or '', '^(%S+) (%S+)$')
  if place and score < tonumber(place) then redis.call('HSET', PASSED, from, string.format('%.0f %s', score, opens)) end
end

-- First come, first served within a line (`include/turns` has the order of lines). Each time it is lined up again a job lets 100
-- others pass. So a job that is always refused blocks no other, and an unlucky one still comes before much later ones.
local PASSED_BY = 100
local function line_up(id, passed_by)
  off_clocks(id)
  release(id)
  local place, bulk, run, tenant = unpack(redis.call('HMGET', job_key(id), 'place', 'bulk', 'run', 'tenant'))
  bulk = number(bulk)
  local line = tenants.join_line(tenant, bulk)
  if place then
    place = place + (passed_by or PASSED_BY)
  else
    place = bulk == 1 and turn(run or '', line) or redis.call('HINCRBY', ACCOUNT, 'order', 1)
  end
  local from = tenants.line_begin(line, bulk)
  redis.call('ZADD', QUEUED, from + place, id)
  begin_no_later(from, from + place)
  set(id, 'place', place, 'state', 'queued', 'token', '', 'queue', SUBMIT_QUEUE)
  clear(id, 'hints', 'parked')
end

-- The job was let in, and is not to be submitted now after all: it goes back to its place. A run's row that was never sent
-- has all its time again.
local FAR = 365 * 24 * 3600
local function return_to_line(id)
  line_up(id, 0)
  if get(id, 'run') and not get(id, 'submits') then set(id, 'deadline', stamp(now + FAR)) end
end

-- A process looks after the account. After a silence (Redis away, all workers down) the living get one lease's time to
-- renew theirs before they count as dead. Returns whether there was one, and when a process looked before.
local function watch(lease_seconds)
  local watched = account('swept_at')
  local silent = now - watched > lease_seconds
  redis.call('HSET', ACCOUNT, 'swept_at', stamp(now))
  if silent then redis.call('HSET', ACCOUNT, 'judge_from', stamp(now + lease_seconds)) end
  return silent, watched
end
