-- One page of repairs: whatever stands on a clock that ran out. Safe to run at any time, by anybody. Returns hints, a
-- round, what was mended, and 1 where the page was full and another call would get further.
-- ARGV: now, page, hint seconds, lease seconds, most crashes, retention seconds, max in flight, submits per second,
--       error of `crashed`, error of `submission_unknown`, error of `deadline`, queues with a backlog (joined by spaces),
--       error of a deadline that passed while a job was to be submitted again
local page, hint_seconds, lease_seconds = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local most_crashes, retention, backlog = tonumber(ARGV[5]), ARGV[6], ' ' .. ARGV[12] .. ' '
local hints, repairs, moved = {}, {}, 0
local function note(id, what) repairs[#repairs + 1] = { id, what } end

-- Whoever had run out when somebody last looked has had his time to speak.
local silent, watched = watch(lease_seconds)
local judging = account('judge_from') <= now

local function tell_followers(id)
  local waiting = follower_hints(id)
  if #waiting == 0 then return rest(id, retention) end
  for _, each in ipairs(waiting) do hints[#hints + 1] = each end
end

-- A message that its queue's backlog may still hold is sent again after 16 leases: sent earlier it would only make the
-- backlog longer.
local PATIENT_TIMES = 5

-- `taken`: whoever had the message is dead, so it is not among those that wait in its queue.
local function tell(id, taken)
  local times = redis.call('HINCRBY', job_key(id), 'hints', 1)
  local queue = get(id, 'queue')
  hinted(id, queue, hint_seconds * 2 ^ math.min(times - 1, 4))
  local waits = not taken and times < PATIENT_TIMES and string.find(backlog, ' ' .. queue .. ' ', 1, true)
  if waits then return end -- still in line, most likely
  if get(id, 'answered') == '1' then tell_followers(id) else hints[#hints + 1] = hint(id) end
  note(id, 'told again')
end

local function bury(id, state)
  local crashes = redis.call('HINCRBY', job_key(id), 'crashes', 1)
  set(id, 'token', '')
  if state == 'submitting' then
    if go_on(id) then return note(id, 'worker died while submitting; an earlier submit was accepted, and is polled') end
    if submit_again(id) then
      return note(id, 'worker died while submitting; submitted again as its request allows')
    end
    conclude(id, 'unconfirmed', 'error', ARGV[10])
    set(id, 'queue', 'bide.store')
    note(id, 'worker died while submitting: unconfirmed')
  elseif crashes >= most_crashes then
    if FINAL[state] or state == 'unconfirmed' then
      set(id, 'answered', 1)
      note(id, 'caller could not be told')
      return tell(id, true)
    end
    local doubtful = bought_before(id) and state == 'queued'
    conclude(id, doubtful and 'unconfirmed' or 'failed', 'error', doubtful and ARGV[10] or ARGV[9])
    set(id, 'queue', 'bide.store')
    note(id, 'crashed')
  else
    note(id, 'worker died: ' .. state)
  end
  tell(id, true)
end

local ran_out = redis.call('ZRANGEBYSCORE', LEASE, '-inf', now, 'WITHSCORES', 'LIMIT', 0, page)
for i = 1, #ran_out, 2 do
  local id = ran_out[i]
  local state, version = unpack(redis.call('HMGET', job_key(id), 'state', 'v'))
  moved = moved + 1
  if not state then
    off_clocks(id)
    release(id)
  elseif foreign(version) then
    redis.call('ZADD', LEASE, now + lease_seconds, id)
    redis.call('SREM', TOLD, id)
    note(id, 'left alone: another version of bide wrote its record')
  elseif get(id, 'token') == '' then
    tell(id)
  elseif judging or (silent and tonumber(ran_out[i + 1]) <= watched) then
    bury(id, state)
  else
    moved = moved - 1
  end
end

-- Jobs in line whose time is up; the cursor goes round so that the tail is reached too.
local cursor = account('cursor')
local line = redis.call('ZRANGE', QUEUED, cursor, cursor + page - 1)
redis.call('HSET', ACCOUNT, 'cursor', #line < page and 0 or cursor + page)
for _, id in ipairs(line) do
  local deadline, version = unpack(redis.call('HMGET', job_key(id), 'deadline', 'v'))
  if not deadline then
    off_clocks(id)
  elseif not foreign(version) and tonumber(deadline) <= now then
    local doubtful = bought_before(id)
    conclude(id, doubtful and 'unconfirmed' or 'failed', 'error', doubtful and ARGV[13] or ARGV[11])
    hinted(id, 'bide.store', hint_seconds)
    hints[#hints + 1] = hint(id)
    note(id, 'deadline')
  end
end

-- For people, who do not know the settings of the processes.
redis.call('HSET', ACCOUNT, 'max_in_flight', ARGV[7], 'submits_per_second', ARGV[8])
local look, round = next_look(tonumber(ARGV[7]), tonumber(ARGV[8])), {}
if look then
  local waiting = string.find(backlog, ' bide.poll ', 1, true)
  round = ensure_round(look, waiting and 60 or lease_seconds / 2)
  if #round > 0 then note('', 'round scheduled') end
end
local full = #line == page or (#ran_out == 2 * page and moved > 0)
return { hints, round, repairs, full and 1 or 0 }
