--- include: base constants record clocks breaker passed_over
-- The line of an account: which job is let in when. And its polling rounds: when the next one is due.

-- Generic cell rate: how many of `wanted` fit now, and when the next one does. A second's worth may come at once.
local function rate(field, per_second, wanted, take)
  if per_second <= 0 then return wanted, now end
  local gap = 1 / per_second
  local burst = math.max(1, per_second) * gap
  local theoretical = math.max(account(field), now)
  if theoretical > now + burst + 1 then theoretical = now end -- booked at a lower rate that was in force before
  local fits = math.floor((now + burst - theoretical + 0.001) / gap) -- a job that comes when it opens must not come too soon
  local granted = math.max(0, math.min(wanted, fits))
  if take and granted > 0 then
    redis.call('HSET', ACCOUNT, field, string.format('%.6f', theoretical + granted * gap))
    theoretical = theoretical + granted * gap
  end
  return granted, math.max(now, theoretical + gap - burst)
end

-- How many submits may start now, and the time at which that can change by itself (0: only when a job ends).
-- Bulk jobs leave a tenth of the places to others, and few of them are called up at once: the message of an interactive
-- job comes after theirs.
local MOST_CALLED_UP, BULK_LEAVES = 16, 0.1
local function free_places(max_in_flight, per_second, bulk)
  if paused() then return 0, 0 end
  local free = max_in_flight - redis.call('SCARD', INFLIGHT)
  if bulk then
    if max_in_flight >= 4 then free = free - math.max(1, math.floor(max_in_flight * BULK_LEAVES)) end
    free = math.min(free, MOST_CALLED_UP - redis.call('SCARD', CALLED_UP))
  end
  if free <= 0 then return 0, 0 end
  if breaker_open('') then return 0, account('gate_until') end
  if half_open('') then
    if probe_under_way('') then return 0, 0 end
    free = 1
  end
  return rate('tat_submit', per_second, free, false)
end

local function admit(id, per_second)
  rate('tat_submit', per_second, 1, true)
  go_ahead(id)
  forget_kept_back() -- its lane may wait for it now
  redis.call('SADD', INFLIGHT, id)
end

-- A bulk job's turn. The time that a run's row may take begins here: in line it waits for as long as its run takes.
local function call_up(id)
  redis.call('SADD', CALLED_UP, id)
  redis.call('HSET', ACCOUNT, 'turn', number(get(id, 'place')))
  if get(id, 'run') then
    set(id, 'deadline', deadline_stamp(math.min(number(get(id, 'deadline')), now + number(get(id, 'allowed')))))
  end
end

-- The first in line, those of bulk runs last. A record of another version is set aside, once: it goes behind all others of
-- its kind. Its own version finds it there, and no other checks it again.
local ASIDE, MOST_SET_ASIDE = BULK / 2, 500
local function first_in_line()
  for _, from in ipairs({ 0, BULK }) do
    local begin, passed = begin_at(from), nil
    for _ = 1, MOST_SET_ASIDE do
      local id, place = unpack(redis.call('ZRANGEBYSCORE', QUEUED, begin, string.format('(%.0f', from + BULK), 'WITHSCORES', 'LIMIT',
        passed_over[from], 1))
      if not id then break end
      local state, version, operation, lane = unpack(redis.call('HMGET', job_key(id), 'state', 'v', 'op', 'lane'))
      if not state then
        redis.call('ZREM', QUEUED, id)
      elseif not foreign(version) then
        if not passes_over(operation, lane) then
          if passed then note_passed(from, passed) end
          return id, from == BULK
        end
        passed_over[from], passed = passed_over[from] + 1, place
      elseif tonumber(place) >= from + ASIDE then
        break
      else
        redis.call('ZADD', QUEUED, place + ASIDE, id)
      end
    end
    if passed then note_passed(from, passed) end
  end
end

-- Lets the head of the line in, as far as there are places, `most` at most: adds their hints to `hints`.
local function let_in(hints, max_in_flight, per_second, hint_seconds, most)
  while most > 0 do
    local id, bulk = first_in_line()
    if not id or free_places(max_in_flight, per_second, bulk) <= 0 then return end
    admit(id, per_second)
    hinted(id, SUBMIT_QUEUE, hint_seconds)
    if bulk then call_up(id) end
    hints[#hints + 1] = hint(id)
    most = most - 1
  end
end

-- The next polling round: what to publish ({seq, seconds}), or nothing where one is under way that is early enough.
-- Only the sweeper gives a round up for lost, when it is `grace` seconds late: a busy poller is not a dead one.
local ROUND_GAP, ROUND_SLACK, ROUND_FAR = 0.25, 0.05, 50
local function ensure_round(wanted, grace)
  local scheduled = account('round_at')
  local alive = scheduled > 0 and (not grace or scheduled > now - grace)
  local at = math.max(wanted, account('round_last') + ROUND_GAP, now)
  if alive and scheduled <= at + ROUND_SLACK then return {} end
  at = math.min(at, now + ROUND_FAR)
  local seq = redis.call('HINCRBY', ACCOUNT, 'seq', 1)
  redis.call('HSET', ACCOUNT, 'round_at', stamp(at))
  return { seq, stamp(at - now) }
end

-- When the account's next round is due: at its earliest poll, or when its line, or a lane of jobs in it, opens where only
-- time keeps that shut.
local function next_round_at(max_in_flight, per_second)
  local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
  local wanted = first[2] and math.max(tonumber(first[2]), account('polls_open'))
  local head, bulk = first_in_line()
  if head then
    local free, opens = free_places(max_in_flight, per_second, bulk)
    if free > 0 then opens = now end
    if opens > 0 and (not wanted or opens < wanted) then wanted = opens end
  end
  if lane_opens > 0 and not paused() and (not wanted or lane_opens < wanted) then wanted = lane_opens end
  return wanted
end

-- Has the round that the account needs next scheduled; {} where it needs none, or has it.
local function next_round(max_in_flight, per_second)
  local at = next_round_at(max_in_flight, per_second)
  return at and ensure_round(at) or {}
end
