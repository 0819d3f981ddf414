--- include: base constants record clocks caps breaker admission unconfirmed settling followers ending fallback
-- The sweeper mends one page of what stands on a clock that ran out. That is safe at any time, in any process.
-- Arguments: `page` (how many jobs of each clock), `hint_seconds`, `lease_seconds`, `most_crashes`, `retention_seconds`,
--   `max_in_flight`, `submits_per_second`, `tenant_caps` (what each tenant may take, '' for no caps), the errors of jobs that
--   end here: `crashed_error`, `unconfirmed_error`, `canceled_error` (of what is free), `deadline_error`,
--   `deadline_unconfirmed_error` (the deadline passed while the job was to be submitted again), `over_budget_error`
--   (it passed while the job waited for a budget), and `backlog`, the queues that have messages waiting, joined by spaces.
-- Reply: hints, a round or {}, what was mended (id and words each), and 1 where the page was full and another call would get
--   further, else 0.
local LONGEST_DEADLINE, MOST_RECENT = 7 * 24 * 3600, 100000
local queues = ' ' .. backlog .. ' '
local function has_backlog(queue) return string.find(queues, ' ' .. queue .. ' ', 1, true) end
local hints, repairs, mended = {}, {}, 0
local function note(id, what) repairs[#repairs + 1] = { id, what } end

-- A lease that had run out when a process last looked has had its time to be renewed.
local silent, watched = watch(lease_seconds)
local silence_over = account('judge_from') <= now

local function hint_followers(id)
  local waiting = follower_hints(id)
  if #waiting == 0 then return retire(id, retention_seconds) end
  for _, each in ipairs(waiting) do hints[#hints + 1] = each end
end

-- A message that its queue's backlog may still hold is sent again after 16 leases: sent earlier it would only make the
-- backlog longer. That of the one job that finds out whether its provider is well is sent each time: all others wait for it.
local PATIENT_TIMES = 5

-- `taken`: the worker that had the message is dead, so it is not among those that wait in its queue.
local function send_again(id, taken)
  local times, ahead = redis.call('HINCRBY', job_key(id), 'hints', 1), is_probe(id)
  local queue = get(id, 'queue')
  hinted(id, queue, ahead and hint_seconds or hint_seconds * 2 ^ math.min(times - 1, 4))
  if not taken and not ahead and times < PATIENT_TIMES and has_backlog(queue) then return end -- still in the queue, most likely
  if get(id, 'answered') == '1' then hint_followers(id) else hints[#hints + 1] = hint(id) end
  note(id, 'told again')
end

local function take_from_dead_worker(id, state)
  local crashes = redis.call('HINCRBY', job_key(id), 'crashes', 1)
  set(id, 'token', '')
  if state == 'submitting' then
    if poll_known_purchase(id) then
      return note(id, 'worker died while submitting; an earlier submit was accepted, and is polled')
    end
    if not get(id, 'settling') then doubt_last_submit(id) end -- else nothing was sent
    if crashes < most_crashes and settle(id, 0) then
      add_evidence(id, 'doubt', 'attempt ' .. get(id, 'submits') .. ': its worker died')
      return note(id, 'worker died while submitting; what its provider promises settles it')
    end
    clear(id, 'settling')
    if submit_again(id) then
      return note(id, 'worker died while submitting; submitted again as its request allows')
    end
    if not get(id, 'free') then
      conclude(id, 'unconfirmed', 'error', unconfirmed_error)
      note(id, 'worker died while submitting: unconfirmed')
    elseif is_canceled(id) then
      clear(id, 'cancel')
      conclude(id, 'canceled', 'error', canceled_error)
      note(id, 'worker died while submitting: canceled')
    else
      conclude(id, unsettled_state(id), 'error', unconfirmed_error)
      note(id, 'crashed')
    end
    set(id, 'queue', STORE_QUEUE)
  elseif crashes >= most_crashes then
    if has_ended(state) then
      set(id, 'answered', 1)
      note(id, 'caller could not be told')
      return send_again(id, true)
    end
    local unconfirmed = maybe_bought_before(id) and state == 'queued'
    conclude(id, unconfirmed and 'unconfirmed' or 'failed', 'error', unconfirmed and unconfirmed_error or crashed_error)
    set(id, 'queue', STORE_QUEUE)
    note(id, 'crashed')
  else
    note(id, 'worker died: ' .. state)
  end
  send_again(id, true)
end

-- The deadline of a job that was not submitted this time has passed.
local function end_overdue(id, error)
  local unconfirmed = maybe_bought_before(id)
  conclude(id, unconfirmed and 'unconfirmed' or 'failed', 'error', unconfirmed and deadline_unconfirmed_error or error)
  hinted(id, STORE_QUEUE, hint_seconds)
  hints[#hints + 1] = hint(id)
  note(id, 'deadline')
end

-- The job waits for its budget no longer: it goes on at its next account, where its deadline has not passed.
local function end_budget_wait(id)
  local moved = get(id, 'fallbacks') and leave_line(id, hint_seconds, retention_seconds)
  if moved then
    hints[#hints + 1] = moved
  elseif number(get(id, 'deadline')) > now then
    redis.call('ZADD', LEASE, waits_until(id), id)
  else
    end_overdue(id, over_budget_error)
  end
end

local ran_out = redis.call('ZRANGEBYSCORE', LEASE, '-inf', now, 'WITHSCORES', 'LIMIT', 0, page)
for i = 1, #ran_out, 2 do
  local id = ran_out[i]
  local state, version = unpack(redis.call('HMGET', job_key(id), 'state', 'v'))
  mended = mended + 1
  if not state then
    off_clocks(id)
    release(id)
  elseif foreign(version) then
    redis.call('ZADD', LEASE, now + lease_seconds, id)
    redis.call('SREM', CALLED_UP, id)
    note(id, 'left alone: another version of bide wrote its record')
  elseif get(id, 'over_budget') then
    end_budget_wait(id)
  elseif get(id, 'token') == '' then
    send_again(id, state == 'submitting' and not get(id, 'hints')) -- the time of a doubt's next try; no message is under way
  elseif silence_over or (silent and tonumber(ran_out[i + 1]) <= watched) then
    take_from_dead_worker(id, state)
  else
    mended = mended - 1
  end
end

-- Jobs in line whose time is up, or that wait for this account no longer; the cursor goes round so that the tail is reached too.
local cursor = account('cursor')
local line = redis.call('ZRANGE', QUEUED, cursor, cursor + page - 1)
redis.call('HSET', ACCOUNT, 'cursor', #line < page and 0 or cursor + page)
for _, id in ipairs(line) do
  local deadline, version, fallbacks = unpack(redis.call('HMGET', job_key(id), 'deadline', 'v', 'fallbacks'))
  if not deadline then
    off_clocks(id)
  elseif not foreign(version) and tonumber(deadline) > now then
    local moved = fallbacks and leave_line(id, hint_seconds, retention_seconds)
    if moved then hints[#hints + 1] = moved end
  elseif not foreign(version) then
    end_overdue(id, deadline_error)
  end
end

-- The list of recent jobs names none whose record has surely gone, and so many at most.
redis.call('ZREMRANGEBYSCORE', RECENT, '-inf', now - LONGEST_DEADLINE - retention_seconds)
redis.call('ZREMRANGEBYRANK', RECENT, 0, -MOST_RECENT - 1)

-- For people, who do not know the settings of the processes.
redis.call('HSET', ACCOUNT, 'max_in_flight', max_in_flight, 'submits_per_second', submits_per_second)
caps.refresh(tenant_caps)
local needed, round = next_round_at(tonumber(max_in_flight), tonumber(submits_per_second)), {}
if needed then
  round = ensure_round(needed, has_backlog(POLL_QUEUE) and 60 or lease_seconds / 2)
  if #round > 0 then note('', 'round scheduled') end
end
local full = #line == page or (#ran_out == 2 * page and mended > 0)
return { hints, round, repairs, full and 1 or 0 }
