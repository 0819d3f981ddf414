-- A message for a job arrived: open its record if there is none, then take the next step that the record allows.
-- KEYS: prefix, idempotency key or '', set of accounts, marker of a cancel that came before the job.
-- ARGV: now, id, token, request, signature, operation, deadline seconds, bulk, resubmit, fingerprint, retention seconds,
--       lease seconds, max in flight, submits per second, account name, take (1) or only open (0), record version
local id, token, request, signature = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local retention, lease_seconds = ARGV[11], tonumber(ARGV[12])
local max_in_flight, per_second = tonumber(ARGV[13]), tonumber(ARGV[14])
local state = get(id, 'state')
local canceled = not state and request ~= '' and redis.call('GET', KEYS[4])
local idem = canceled and '' or KEYS[2] -- what is never bought keeps no key

-- Another job is making what this caller asks for: its result is for both. Whoever only opens goes on with its id.
local function follow(leader)
  local leading = get(leader, 'state')
  if FINAL[leading] or ARGV[16] == '0' then return { 'follow', leader } end
  redis.call('HSET', followers_key(leader), id, signature)
  redis.call('HSET', job_key(id), 'v', ARGV[17], 'state', 'following', 'leader', leader, 'fp', ARGV[10])
  redis.call('EXPIRE', job_key(id), math.ceil(math.max(number(get(leader, 'deadline')) - now, 0) + retention))
  if get(leader, 'answered') == '1' then hinted(leader, 'bide.store', lease_seconds) end -- to tell this one too
  return { 'follow', leader }
end

local function open()
  redis.call('SADD', KEYS[3], ARGV[15])
  set(id, 'v', ARGV[17], 'op', ARGV[6], 'created', stamp(now), 'deadline', deadline_stamp(now + ARGV[7]), 'allowed', ARGV[7],
    'fp', ARGV[10])
  if ARGV[8] == '1' then set(id, 'bulk', 1) end
  if ARGV[9] == '1' then set(id, 'resubmit', 1) end
  if idem ~= '' then set(id, 'idem', idem) end
  if ARGV[16] == '0' then set(id, 'by_client', 1) end
  if string.find(request, '"callback_url":"', 1, true) then set(id, 'callback', 0) end
  redis.call('HSET', body_key(id), 'request', request, 'signature', signature)
  line_up(id)
end

-- A row of a bulk run keeps its id after its record was dropped, for as long as the run is remembered.
local function of_a_run()
  local run = string.match(id, '^(.+)%.%d+$')
  return run and redis.call('EXISTS', 'bide:run:' .. run .. ':record') == 1
end

if state then
  if get(id, 'v') ~= ARGV[17] then return { 'version', get(id, 'v') or '' } end
  if request ~= '' and get(id, 'fp') ~= ARGV[10] then return { 'conflict', id } end
end

if state == 'following' then
  return { 'follow', get(id, 'leader') }
elseif not state then
  if request == '' then return { 'missing' } end
  if of_a_run() or elsewhere(id, redis.call('SMEMBERS', KEYS[3]), ARGV[15]) then return { 'conflict', id } end
  if idem ~= '' then
    local leader = redis.call('HGET', idem, 'job')
    if leader and redis.call('HGET', idem, 'fp') ~= ARGV[10] then return { 'conflict', leader } end
    if leader and get(leader, 'state') then return follow(leader) end
    redis.call('DEL', idem)
    redis.call('HSET', idem, 'job', id, 'fp', ARGV[10], 'account', ARGV[15])
  end
  open()
  state = 'queued'
  if canceled then
    redis.call('DEL', KEYS[4])
    conclude(id, 'canceled', 'error', canceled)
    hinted(id, 'bide.store', lease_seconds)
    state = 'canceled'
  end
elseif signature ~= '' and redis.call('HGET', body_key(id), 'signature') == '' then
  redis.call('HSET', body_key(id), 'signature', signature)
end

if ARGV[16] == '0' then return { 'opened', state } end

-- A client does not know the settings: the first worker to see the request says how long the job may take.
if request ~= '' and get(id, 'by_client') == '1' then
  clear(id, 'by_client')
  set(id, 'allowed', ARGV[7], 'deadline', deadline_stamp(number(get(id, 'created')) + ARGV[7]))
end

local held = get(id, 'token')
if held ~= token then
  if state == 'queued' and get(id, 'parked') then line_up(id) end
  if state == 'queued' and held == '' and shut(id) then stand_back(id) end -- let in before: back to its place
  if redis.call('ZSCORE', QUEUED, id) then
    local bulk = get(id, 'bulk')
    local free, opens = room(max_in_flight, per_second, bulk)
    if free <= redis.call('ZRANK', QUEUED, id) then
      local round = {}
      if opens > 0 then round = ensure_round(opens) end
      return { 'wait', state, unpack(round) }
    end
    admit(id, per_second)
    if bulk then called_up(id) end
  elseif held ~= '' or not redis.call('ZSCORE', LEASE, id) then
    return { 'stale', state }
  end
  leased(id, token, lease_seconds)
end
local verbs = { queued = 'submit', storing = 'store', submitting = 'stale' }
if verbs[state] == 'stale' then return { 'stale', state } end
return { verbs[state] or 'answer', redis.call('HGETALL', job_key(id)), redis.call('HGET', body_key(id), 'request') or '', stamp(now) }
