--- include: base record provider_ids giving_way money
-- A job was bought, and its ledger was lost: what another account has of it gives way, before its record is written there (see
-- `recover`). Or so does the job that has its idempotency key by now, and was never bought: its caller follows. A kill between
-- the two scripts leaves no record in line; `bide recover` writes it when it runs again.
-- Arguments: `id` of the record here, `fp`, `leader` (the job that was bought, '' where it is this one), and of what is known
--   from elsewhere: `to` (its account), `created`, `intended`, `reached`, `ending`, `certain`, `provider_job_id`; `names`: other
--   purchases are named in a record that stays, `further` of these; `dry`: nothing is written; `retention_seconds`; and `left`: fields
--   of the record that it left here after a purchase of which nothing came, none where nothing was bought here.
-- Reply: `moved`, and what is kept of the caller's message; `gone`; or that it stays: `known` or `twice` with its state (and what is named), `conflict`.
local state, known_fp, erased = unpack(redis.call('HMGET', job_key(id), 'state', 'fp', 'erased'))
local behind = {}
for i = 1, #left, 2 do behind[left[i]] = left[i + 1] end

-- The record stays under `left:ID`: an answer that is under way is noted where the job is, and what was bought here is booked here.
local function leave_behind(booked)
  if behind.pid then redis.call('HSET', job_key(id), unpack(left)) end
  if behind.booked then redis.call('HSET', job_key(id), 'booked', booked) end
  redis.call('EXPIRE', job_key(id), math.ceil(retention_seconds))
  index_ids(id)
  redis.call('RENAME', job_key(id), PREFIX .. 'left:' .. id)
  redis.call('HSET', PREFIX .. 'left:' .. id, 'moved_to', to)
  money.balance(id, PREFIX .. 'left:' .. id)
end

if not state then
  local unknown = behind.pid and redis.call('EXISTS', PREFIX .. 'left:' .. id) == 0
  if unknown and not dry then leave_behind(money.take_over(id, behind.booked)) end
  return { 'gone', '' }
end
if erased then return { 'known', state } end
if known_fp ~= fp then return { 'conflict', id } end
local lost = { ending = ending, certain = certain, pid = provider_job_id, account = to, created = created,
  intended = number(intended), reached = number(reached), names = names and leader == '', further = further, dry = dry }
if leader ~= '' and state ~= 'queued' then return { 'known', state } end
if not knows_less(id, lost) then return known_as(id, lost) end
if dry then return { 'moved', '' } end

local there = string.format('bide:{%s}:', to)
if leader ~= '' then
  follow_instead(id, leader, there, retention_seconds)
  return { 'moved', '' }
end
local key = get(id, 'idem')
local signature, booked = give_way(id, behind.booked or '')
hand_over(id, id, there)
redis.call('DEL', body_key(id))
if state == 'following' then
  redis.call('DEL', job_key(id))
  return { 'moved', signature }
end
if key and redis.call('HGET', key, 'job') == id then redis.call('HSET', key, 'account', to) end
leave_behind(booked)
return { 'moved', signature }
