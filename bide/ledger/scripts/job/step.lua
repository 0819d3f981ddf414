--- include: base constants record clocks tenants lanes breaker passed_over admission caps turns unconfirmed settling followers ending fallback
-- A message for a job arrived: the script opens the job's record if there is none, then takes the next step that the record
-- allows.
-- Keys: `idempotency_key` (or ''), `accounts` (the set of all accounts), `canceled` (set by a cancel that came before the job).
-- Arguments: `id`, `token` of the new lease, `request` as JSON or '', `signature` of the caller's task or '', `operation`,
--   `deadline_seconds` (how long the job may take), `bulk`, `resubmit` (in doubt), `fingerprint` of the request,
--   `retention_seconds` of its record, `lease_seconds`, `max_in_flight`, `submits_per_second`, `account_name`, `take`:
--   whether to take the step, not only to open the record, the `lane` of the request, '' for none or where it is not
--   known, `hint_seconds`, how many `fallbacks` the request names, and its `tenant`, '' for none.
-- Reply: a verb of `Verb`, then what it needs: submit, store and answer have the record's fields, the request and the time;
--   moved the account at which the job, or the one that it is to follow, is now; wait has the signature and a round; follow the other job and, while the caller waits, its signature; conflict the other job;
--   opened and stale the state; version the record's. The first three also have the signature, before the time.
local state = get(id, 'state')
local canceled_before = not state and request ~= '' and redis.call('GET', canceled)
local idem = canceled_before and '' or idempotency_key -- what is never bought keeps no key

-- Another job is making what this caller asks for: its result is for both. A client that only opens goes on with its id.
local function follow(leader)
  local leading = get(leader, 'state')
  if not take then return { 'follow', leader } end
  redis.call('HSET', job_key(id), 'v', VERSION, 'state', 'following', 'leader', leader, 'fp', fingerprint)
  if FINAL[leading] then -- the id is this caller's, too; the answer follows at once
    redis.call('EXPIRE', job_key(id), retention_seconds)
    return { 'follow', leader, signature }
  end
  redis.call('HSET', followers_key(leader), id, signature)
  redis.call('EXPIRE', job_key(id), math.ceil(math.max(number(get(leader, 'deadline')) - now, 0) + retention_seconds))
  if get(leader, 'answered') == '1' then hinted(leader, STORE_QUEUE, lease_seconds) end -- this caller gets an answer, too
  return { 'follow', leader, signature }
end

local function open()
  redis.call('SADD', accounts, account_name)
  set(id, 'v', VERSION, 'op', operation, 'created', stamp(now), 'deadline', deadline_stamp(now + deadline_seconds),
    'allowed', deadline_seconds, 'fp', fingerprint)
  if bulk then set(id, 'bulk', 1) end
  if resubmit then set(id, 'resubmit', 1) end
  note_lane(id, lane)
  if tenant ~= '' then set(id, 'tenant', tenant) end
  if idem ~= '' then set(id, 'idem', idem) end
  if not take then set(id, 'by_client', 1) end
  if string.find(request, '"callback_url":"', 1, true) then set(id, 'callback', 0) end
  if fallbacks > 0 then set(id, 'fallbacks', fallbacks) end
  redis.call('HSET', body_key(id), 'request', request, 'signature', signature)
  redis.call('ZADD', RECENT, stamp(now), id)
  line_up(id)
end

-- A row of a bulk run keeps its id after its record was dropped, for as long as the run is remembered.
local function of_a_run()
  local run = string.match(id, '^(.+)%.%d+$')
  return run and redis.call('EXISTS', 'bide:run:' .. run .. ':record') == 1
end

if state then
  if get(id, 'v') ~= VERSION then return { 'version', get(id, 'v') or '' } end
  if request ~= '' and get(id, 'fp') ~= fingerprint and not get(id, 'erased') then return { 'conflict', id } end
end

if state == 'following' then
  local leader = get(id, 'leader')
  return { 'follow', leader, redis.call('HGET', followers_key(leader), id) or nil }
elseif not state then
  if request == '' then return { 'missing' } end
  if of_a_run() then return { 'conflict', id } end
  local elsewhere = in_another_account(id, redis.call('SMEMBERS', accounts), account_name)
  if elsewhere then
    local same = redis.call('HGET', string.format('bide:{%s}:job:%s', elsewhere, id), 'fp') == fingerprint
    return same and { 'moved', elsewhere } or { 'conflict', id }
  end
  if idem ~= '' then
    local leader, leads_at = unpack(redis.call('HMGET', idem, 'job', 'account'))
    local kept = redis.call('HGET', idem, 'fp')
    if leader and kept ~= fingerprint and kept ~= 'erased' then return { 'conflict', leader } end
    local moved = leader and leads_at and leads_at ~= account_name
    if moved and redis.call('EXISTS', string.format('bide:{%s}:job:%s', leads_at, leader)) == 1 then return { 'moved', leads_at } end
    if leader and get(leader, 'state') then return follow(leader) end
    redis.call('DEL', idem)
    redis.call('HSET', idem, 'job', id, 'fp', fingerprint, 'account', account_name)
  end
  open()
  state = 'queued'
  if canceled_before then
    redis.call('DEL', canceled)
    conclude(id, 'canceled', 'error', canceled_before)
    hinted(id, STORE_QUEUE, lease_seconds)
    state = 'canceled'
  end
elseif signature ~= '' and redis.call('HGET', body_key(id), 'signature') == '' then
  redis.call('HSET', body_key(id), 'signature', signature)
end

if not take then return { 'opened', state } end

-- A client does not know the settings: the first worker to see the request says how long the job may take, and its lane.
if request ~= '' and get(id, 'by_client') == '1' then
  clear(id, 'by_client')
  note_lane(id, lane)
  set(id, 'allowed', deadline_seconds, 'deadline', deadline_stamp(number(get(id, 'created')) + deadline_seconds))
end

-- A settling job is tried at its time, and no earlier. What buys waits for its account; neither a look-up nor what was
-- canceled does.
local function waits_to_settle()
  if not get(id, 'hints') and number(redis.call('ZSCORE', LEASE, id)) > now then return true end
  if looked_up(id) or is_canceled(id) or settle_until(id) <= now then return false end
  local seconds = settle_blocked(id, submits_per_second)
  if seconds > 0 then settle_later(id, seconds) end
  return seconds > 0
end

-- A step that was put off comes at its time. A message that came twice, or by a clock that is ahead, would fetch the result
-- again at once, and count as a try. The sweeper's messages (`hints`) are never early.
local EARLY_SECONDS = 1
local function is_put_off()
  if state ~= 'storing' or number(get(id, 'tries')) == 0 or get(id, 'hints') then return false end
  return number(redis.call('ZSCORE', LEASE, id)) - hint_seconds > now + EARLY_SECONDS
end

local owner, settling = get(id, 'token'), state == 'submitting' and get(id, 'settling')
if owner ~= token then
  if settling and owner == '' and waits_to_settle() then return { 'stale', state } end
  if owner == '' and is_put_off() then return { 'stale', state } end
  if state == 'queued' and get(id, 'parked') then line_up(id) end
  if state == 'queued' and owner == '' and submits_blocked(id) then
    return_to_line(id)
    local moved = leave_line(id, hint_seconds, retention_seconds)
    if moved then return { 'moved', moved[4] } end
  end
  if redis.call('ZSCORE', QUEUED, id) then
    local bulk_job, whose = unpack(redis.call('HMGET', job_key(id), 'bulk', 'tenant'))
    local free, opens = free_places(max_in_flight, submits_per_second, bulk_job)
    local waits = lane_trouble() and passes_over(get(id, 'op'), get(id, 'lane'))
    if waits then opens = lane_opens end
    local capped = whose and not waits and caps.until_when(whose)
    if capped then waits, opens = true, capped < tenants.only_a_place and capped or 0 end
    if waits or free <= 0 or (free <= turns.jobs_before(id) and first_in_line() ~= id) then
      local round = {}
      if opens > 0 then round = ensure_round(opens) end
      return { 'wait', redis.call('HGET', body_key(id), 'signature') or '', unpack(round) }
    end
    admit(id, submits_per_second)
    turns.take(id)
    if bulk_job then call_up(id) end
  elseif owner ~= '' or not redis.call('ZSCORE', LEASE, id) then
    return { 'stale', state }
  end
  leased(id, token, lease_seconds)
end
local verbs = { queued = 'submit', storing = 'store', submitting = settling and 'submit' or 'stale' }
if verbs[state] == 'stale' then return { 'stale', state } end
local kept_request, kept_signature = unpack(redis.call('HMGET', body_key(id), 'request', 'signature'))
return { verbs[state] or 'answer', redis.call('HGETALL', job_key(id)), kept_request or '', kept_signature or '', stamp(now) }
