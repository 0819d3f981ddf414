-- Shared by every move; `scripts.py` puts it in front of each of them. KEYS[1] is the prefix of one provider account,
-- hash tag and all, so that everything a move touches lies in one slot; ARGV[1] is the time in tests and '' in life.
local P = KEYS[1]
local QUEUED, LEASE, DUE = P .. 'queued', P .. 'lease', P .. 'due'
local UNCONFIRMED, INFLIGHT, ACCOUNT = P .. 'unconfirmed', P .. 'inflight', P .. 'account'
local CALLBACKS, UNDELIVERED = P .. 'callbacks', P .. 'undelivered'
local TOLD = P .. 'told'
local FINAL = { succeeded = true, failed = true, canceled = true }

local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] + t[2] / 1000000
end

local function stamp(seconds) return string.format('%.3f', seconds) end
local function job_key(id) return P .. 'job:' .. id end
local function body_key(id) return P .. 'body:' .. id end
local function followers_key(id) return P .. 'followers:' .. id end
local function get(id, field) return redis.call('HGET', job_key(id), field) end
local function set(id, ...) redis.call('HSET', job_key(id), ...) end
local function clear(id, ...) redis.call('HDEL', job_key(id), ...) end
local function number(value) return tonumber(value or 0) or 0 end
local function account(field) return number(redis.call('HGET', ACCOUNT, field)) end

-- A record that another version of bide wrote is that version's to move on: its clock is put off, and nothing else done.
local VERSION = '1'
local function foreign(version) return version and version ~= VERSION end

local function off_clocks(id)
  redis.call('ZREM', QUEUED, id)
  redis.call('ZREM', LEASE, id)
  redis.call('ZREM', DUE, id)
end

local function release(id)
  redis.call('SREM', INFLIGHT, id)
  redis.call('SREM', TOLD, id)
end

-- Nobody works on the job, a message is under way to `queue`: told again when `seconds` have passed.
local function hinted(id, queue, seconds)
  off_clocks(id)
  redis.call('ZADD', LEASE, now + seconds, id)
  set(id, 'token', '', 'queue', queue)
end

local function hint(id)
  local found = redis.call('HGET', body_key(id), 'signature')
  return { id, get(id, 'queue') or 'bide.submit', found or '' }
end

local function leased(id, token, seconds)
  off_clocks(id)
  redis.call('ZADD', LEASE, now + seconds, id)
  redis.call('SREM', TOLD, id)
  set(id, 'token', token)
  clear(id, 'hints')
end

-- Bulk jobs stand in line by turns: a run's next row comes after its last one, and no earlier than whoever is let in now.
local BULK = 1e12
local function turn(run)
  local next = math.max(account('turn:' .. run) + 1, account('turn'))
  redis.call('HSET', ACCOUNT, 'turn:' .. run, next)
  return next
end

-- In line: interactive before bulk, then first come, first served. Each time it is lined up again a job lets 100 others
-- pass: one that is always refused blocks nobody, and one that was unlucky still comes before whoever came much later.
local PASSED_BY = 100
local function line_up(id, passed_by)
  off_clocks(id)
  release(id)
  local place, bulk = get(id, 'place'), get(id, 'bulk')
  if place then
    place = place + (passed_by or PASSED_BY)
  else
    place = bulk and turn(get(id, 'run') or '') or redis.call('HINCRBY', ACCOUNT, 'order', 1)
  end
  redis.call('ZADD', QUEUED, number(bulk) * BULK + place, id)
  set(id, 'place', place, 'state', 'queued', 'token', '', 'queue', 'bide.submit')
  clear(id, 'hints', 'parked')
end

-- May have been accepted: submitted once more where its request allows it, and never twice more.
local function submit_again(id)
  if get(id, 'resubmit') ~= '1' or get(id, 'again') then return false end
  line_up(id)
  set(id, 'again', 1, 'note', 'may have been accepted; submitted again as its request allows')
  return true
end

-- A job that is taken up again after it was given up gets as long as at first.
local function more_time(id)
  set(id, 'deadline', stamp(math.max(number(get(id, 'deadline')), now + number(get(id, 'allowed')))))
end

-- All callers know how the job ended: off the clocks; a final record is kept for a while, an unconfirmed one until
-- an operator settles it.
local function rest(id, retention)
  off_clocks(id)
  if not FINAL[get(id, 'state')] then return end
  redis.call('EXPIRE', job_key(id), retention)
  redis.call('EXPIRE', body_key(id), retention)
  redis.call('EXPIRE', followers_key(id), retention)
  local key = get(id, 'idem')
  if key then redis.call('EXPIRE', key, retention) end
end

-- Hints for the callers that wait for this job besides its own; one whose record has expired waits no more.
local function follower_hints(id)
  local hints, followers = {}, redis.call('HGETALL', followers_key(id))
  for i = 1, #followers, 2 do
    if get(followers[i], 'state') then
      hints[#hints + 1] = { followers[i], 'bide.store', followers[i + 1] }
    else
      redis.call('HDEL', followers_key(id), followers[i])
    end
  end
  return hints
end

-- A follower knows, or does not want to any more.
local function unfollow(leader, id, retention)
  redis.call('HDEL', followers_key(leader), id)
  if get(leader, 'answered') == '1' and redis.call('HLEN', followers_key(leader)) == 0 then rest(leader, retention) end
end

-- The request names an address to call at the job's end: `callback` counts its ends, and each is to be told from now on.
local function owe_callback(id)
  if not get(id, 'callback') then return end
  redis.call('HINCRBY', job_key(id), 'callback', 1)
  set(id, 'callback_owed', stamp(now))
  clear(id, 'callback_tries', 'callback_note')
  redis.call('ZREM', UNDELIVERED, id)
  redis.call('ZADD', CALLBACKS, now, id)
end

-- Whether there is an end to tell of: a job that was taken up again has none yet, one that has expired none any more.
local function callable(id)
  local state = get(id, 'state')
  return FINAL[state] or state == 'unconfirmed'
end

-- A record that would expire before its callback can be sent once more.
local function keep(id, retention)
  for _, key in ipairs({ job_key(id), body_key(id) }) do
    local left = redis.call('TTL', key)
    if left >= 0 and left < tonumber(retention) then redis.call('EXPIRE', key, retention) end
  end
end

-- The job's end (or, for `unconfirmed`, its caller's): recorded first, told to the caller by whoever gets the hint.
local function conclude(id, state, field, value)
  release(id)
  redis.call('ZREM', UNCONFIRMED, id)
  set(id, 'state', state, field, value, 'finished', stamp(now))
  clear(id, 'answered', 'crashes', 'hints')
  if state == 'unconfirmed' then redis.call('ZADD', UNCONFIRMED, now, id) end
  owe_callback(id)
end

-- Generic cell rate: how many of `wanted` fit now, and when the next one does. A second's worth may come at once.
local function rate(field, per_second, wanted, take)
  if per_second <= 0 then return wanted, now end
  local gap = 1 / per_second
  local burst = math.max(1, per_second) * gap
  local theoretical = math.max(account(field), now)
  if theoretical > now + burst + 1 then theoretical = now end -- booked at a lower rate that was in force before
  local fits = math.floor((now + burst - theoretical) / gap + 1e-6)
  local granted = math.max(0, math.min(wanted, fits))
  if take and granted > 0 then
    redis.call('HSET', ACCOUNT, field, string.format('%.6f', theoretical + granted * gap))
    theoretical = theoretical + granted * gap
  end
  return granted, math.max(now, theoretical + gap - burst)
end

-- A paused account submits nothing until it is resumed; what was bought goes on.
local function paused() return redis.call('HEXISTS', ACCOUNT, 'paused') == 1 end

-- After a strike one job goes ahead and finds out how the provider is; no other before its submit has come to something.
local function probing()
  local id = redis.call('HGET', ACCOUNT, 'probe')
  if not id or redis.call('SISMEMBER', INFLIGHT, id) == 0 then return false end
  local state, version = unpack(redis.call('HMGET', job_key(id), 'state', 'v'))
  return not foreign(version) and (state == 'queued' or state == 'submitting')
end

-- A submit failed in a way that the next one would, too: all wait, twice as long each time in a row (`hold` 0), then one
-- goes ahead. Submits that were on their way when the account was struck are the same strike.
local function strike(id, hold, longest, reason)
  local strikes = account('strikes')
  if strikes == 0 or number(get(id, 'intended')) > account('struck_at') then
    strikes = redis.call('HINCRBY', ACCOUNT, 'strikes', 1)
    redis.call('HSET', ACCOUNT, 'struck_at', stamp(now))
    if hold <= 0 then hold = 2 ^ math.min(strikes - 1, 10) end
  end
  local gate = math.max(account('gate_until'), now + math.min(hold, longest))
  redis.call('HSET', ACCOUNT, 'gate_until', stamp(gate), 'gate_reason', reason)
end

-- Whether a job that was let in may not be submitted now after all: the account was paused or struck meanwhile.
local function shut(id)
  if paused() or account('gate_until') > now then return true end
  return account('strikes') > 0 and probing() and redis.call('HGET', ACCOUNT, 'probe') ~= id
end

-- How many submits may start now, and the time at which that can change by itself (0: only when a job ends).
-- Bulk jobs leave a tenth of the places to others, and few of them are told at once that it is their turn: the message of
-- an interactive job comes after theirs.
local BULK_TOLD, BULK_LEAVES = 16, 0.1
local function room(max_in_flight, per_second, bulk)
  if paused() then return 0, 0 end
  local free = max_in_flight - redis.call('SCARD', INFLIGHT)
  if bulk then
    if max_in_flight >= 4 then free = free - math.max(1, math.floor(max_in_flight * BULK_LEAVES)) end
    free = math.min(free, BULK_TOLD - redis.call('SCARD', TOLD))
  end
  if free <= 0 then return 0, 0 end
  local gate = account('gate_until')
  if gate > now then return 0, gate end
  if account('strikes') > 0 then
    if probing() then return 0, 0 end
    free = 1
  end
  return rate('tat_submit', per_second, free, false)
end

local function admit(id, per_second)
  rate('tat_submit', per_second, 1, true)
  if account('strikes') > 0 then redis.call('HSET', ACCOUNT, 'probe', id) end
  redis.call('SADD', INFLIGHT, id)
end

-- A bulk job's turn. The time a run's row may take begins here: in line it waits for as long as its run takes.
local function called_up(id, place)
  redis.call('SADD', TOLD, id)
  redis.call('HSET', ACCOUNT, 'turn', place)
  if get(id, 'run') then
    set(id, 'deadline', stamp(math.min(number(get(id, 'deadline')), now + number(get(id, 'allowed')))))
  end
end

-- Records of another version are passed over where they stand in line, so many at a time.
local MOST_SKIPPED = 500

-- Lets the head of the line in, as far as there is room, `most` at most: adds their hints to `hints`.
local function let_in(hints, max_in_flight, per_second, hint_seconds, most)
  local skipped = 0
  while most > 0 and skipped < MOST_SKIPPED do
    local id, place = unpack(redis.call('ZRANGE', QUEUED, skipped, skipped, 'WITHSCORES'))
    local bulk = tonumber(place or 0) >= BULK
    if not id or room(max_in_flight, per_second, bulk) <= 0 then return end
    local state, version = unpack(redis.call('HMGET', job_key(id), 'state', 'v'))
    if foreign(version) then
      skipped = skipped + 1
    elseif state then
      admit(id, per_second)
      hinted(id, 'bide.submit', hint_seconds)
      if bulk then called_up(id, place - BULK) end
      hints[#hints + 1] = hint(id)
      most = most - 1
    else
      redis.call('ZREM', QUEUED, id)
    end
  end
end

-- The next polling round: what to publish ({seq, seconds}), or nothing where one is under way that is early enough.
-- Only the sweeper gives a round up for lost, when it is `grace` seconds late: a busy poller is not a dead one.
local ROUND_GAP, ROUND_SLACK, ROUND_FAR = 0.5, 0.05, 50
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

-- When the account must be looked at next: its earliest poll, and its line where only time holds that back.
local function next_look(max_in_flight, per_second)
  local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
  local wanted = first[2] and math.max(tonumber(first[2]), account('polls_open'))
  local head = redis.call('ZRANGE', QUEUED, 0, 0, 'WITHSCORES')
  if head[1] then
    local free, opens = room(max_in_flight, per_second, tonumber(head[2]) >= BULK)
    if free > 0 then opens = now end
    if opens > 0 and (not wanted or opens < wanted) then wanted = opens end
  end
  return wanted
end

-- Somebody looks after the account. After a silence (Redis away, all workers down) the living get one lease's time to
-- speak before they count as dead. Returns whether there was one, and when somebody looked before.
local function watch(lease_seconds)
  local watched = account('swept_at')
  local silent = now - watched > lease_seconds
  redis.call('HSET', ACCOUNT, 'swept_at', stamp(now))
  if silent then redis.call('HSET', ACCOUNT, 'judge_from', stamp(now + lease_seconds)) end
  return silent, watched
end
