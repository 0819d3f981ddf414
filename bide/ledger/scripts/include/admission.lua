--- include: base constants record clocks breaker passed_over tenants rates caps turns
-- The line of an account: which job is let in when. And its polling rounds: when the next one is due.

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
  local tenant = tenants.take_place(id)
  if tenant then caps.book(tenant) end
end

-- A bulk job's turn. The time that a run's row may take begins here: in line it waits for as long as its run takes.
local function call_up(id)
  redis.call('SADD', CALLED_UP, id)
  local field = tenants.run_turn_field(tenants.line_of(get(id, 'tenant')))
  redis.call('HSET', ACCOUNT, field, math.max(account(field), number(get(id, 'place'))))
  if get(id, 'run') then
    set(id, 'deadline', deadline_stamp(math.min(number(get(id, 'deadline')), now + number(get(id, 'allowed')))))
  end
end

-- Lets the head of the line in, as far as there are places, `most` at most: adds their hints to `hints`.
local function let_in(hints, max_in_flight, per_second, hint_seconds, most)
  while most > 0 do
    local id, bulk = first_in_line()
    if not id or free_places(max_in_flight, per_second, bulk) <= 0 then return end
    admit(id, per_second)
    turns.take(id)
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

-- When the account's next round is due: at its earliest poll, or when its line, or jobs of a lane or a tenant in it, go on
-- where only time keeps them back.
local function next_round_at(max_in_flight, per_second)
  local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
  local wanted = first[2] and math.max(tonumber(first[2]), account('polls_open'))
  local head, bulk = first_in_line()
  if head then
    local free, opens = free_places(max_in_flight, per_second, bulk)
    if free > 0 then opens = now end
    if opens > 0 and (not wanted or opens < wanted) then wanted = opens end
  end
  if paused() then return wanted end
  if lane_opens > 0 and (not wanted or lane_opens < wanted) then wanted = lane_opens end
  local opens = tenants.any() and caps.open_at()
  if opens and (not wanted or opens < wanted) then wanted = opens end
  return wanted
end

-- Has the round that the account needs next scheduled; {} where it needs none, or has it.
local function next_round(max_in_flight, per_second)
  local at = next_round_at(max_in_flight, per_second)
  return at and ensure_round(at) or {}
end
