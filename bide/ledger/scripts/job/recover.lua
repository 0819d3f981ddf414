--- include: base constants record clocks tenants unconfirmed settling provider_ids followers ending money
-- A job that was bought, and that this ledger does not know: its record is written anew, from a receipt, from its `job.json`, or
-- by an operator who names the provider's id. A record that is in line counts as unknown where the submit came later: an older
-- backup has it, or its caller's message came again. Nothing is bought by this.
-- Keys: `idempotency_key` (or ''), `accounts` (the set of all accounts).
-- Arguments: `id`, `account_name`, `ending`: where the job stands (running, storing, succeeded, failed, canceled; unconfirmed
--   where its submit may have been accepted), `attempt`: its last submit, `accepted`: the provider accepted it, `refused`: it
--   surely did not, `provider_job_id` ('' for none), `others` (ids of further purchases, joined by blanks), `handle` of the job for its adapter, `base_url` and `adapter` with which it was bought
--   ('' each), `cost` as the provider says it (''), `outputs` and `partial` of a result that is to be stored, `value`: the result,
--   or the error of a failure or of an unconfirmed job; `request` as JSON, `signature` of the caller's task, `note` for people,
--   `retention_seconds`; and the `fields` of the record.
-- Reply: `taken`; or why nothing was done, and by whom: `known` (with its state), `conflict` (its id is another request's), `run` (a
--   run looks after it), `held` (with the job that has the provider's id).
local wanted = {}
for i = 1, #fields, 2 do wanted[fields[i]] = fields[i + 1] end
local state, submits, fp = unpack(redis.call('HMGET', job_key(id), 'state', 'submits', 'fp'))
if state and fp ~= wanted.fp then return { 'conflict', id } end
if state and not (state == 'queued' and number(submits) < number(attempt)) then return { 'known', state } end
if not state then
  local elsewhere = in_another_account(id, redis.call('SMEMBERS', accounts), account_name)
  if elsewhere then return { 'known', redis.call('HGET', string.format('bide:{%s}:job:%s', elsewhere, id), 'state') or '' } end
  local run = string.match(id, '^(.+)%.%d+$')
  if run and redis.call('EXISTS', 'bide:run:' .. run .. ':record') == 1 then return { 'run', run } end
end
redis.call('SADD', accounts, account_name)
for each in string.gmatch(provider_job_id .. ' ' .. others, '%S+') do
  local holder = holder_of(each, redis.call('SMEMBERS', accounts))
  if holder and holder ~= id then return { 'held', holder } end
end

if state then
  if signature == '' then signature = redis.call('HGET', body_key(id), 'signature') or '' end
  off_clocks(id)
  release(id)
  redis.call('DEL', job_key(id), body_key(id))
end
redis.call('HSET', job_key(id), unpack(fields))
redis.call('HSET', body_key(id), 'request', request, 'signature', signature)
redis.call('ZADD', RECENT, get(id, 'created'), id)
set(id, 'state', 'submitting', 'token', '', 'queue', SUBMIT_QUEUE, 'note', note)

-- The caller may have come again under its idempotency key, with another id: nothing is bought for that job, it follows this one.
local function lead(other)
  if get(other, 'state') ~= 'queued' or get(other, 'submits') or get(other, 'fp') ~= wanted.fp then return end
  local waiting = redis.call('HGET', body_key(other), 'signature') or ''
  off_clocks(other)
  release(other)
  redis.call('ZREM', RECENT, other)
  redis.call('DEL', job_key(other), body_key(other))
  redis.call('HSET', job_key(other), 'v', VERSION, 'state', 'following', 'leader', id, 'fp', wanted.fp)
  redis.call('HSET', followers_key(id), other, waiting)
  redis.call('EXPIRE', job_key(other), math.ceil(math.max(number(get(id, 'deadline')) - now, 0) + retention_seconds))
end
if idempotency_key ~= '' then
  local other, key_fp, leads_at = unpack(redis.call('HMGET', idempotency_key, 'job', 'fp', 'account'))
  if other and other ~= id and key_fp == wanted.fp and leads_at == account_name then lead(other) end
  if not other or other == id or get(other, 'state') == 'following' then
    redis.call('HSET', idempotency_key, 'job', id, 'fp', wanted.fp, 'account', account_name)
    set(id, 'idem', idempotency_key)
  end
end

if handle ~= '' or base_url ~= '' then bought_with(id, handle, base_url, adapter) end
if cost ~= '' then set(id, 'cost', cost) end
for each in string.gmatch(others, '%S+') do note_purchase(id, each, '', '', '') end
money.accepted(id, attempt)
if accepted then
  set(id, 'pid', provider_job_id, 'submitted', get(id, 'intended') or stamp(now))
  no_doubt(id)
end
index_ids(id)
if ending == 'running' then
  extend_deadline(id)
  set(id, 'state', 'running')
  tenants.take_place(id)
  redis.call('ZADD', DUE, now, id)
elseif ending == 'storing' then
  extend_deadline(id)
  set(id, 'state', 'storing', 'ended', stamp(now))
  if outputs ~= 'ask' then set(id, 'outputs', outputs) end
  if partial ~= '' then set(id, 'partial', partial) end
  hinted(id, STORE_QUEUE, 0)
elseif ending == 'unconfirmed' then
  extend_deadline(id)
  tenants.take_place(id)
  doubt_last_submit(id)
  if settle(id, 0) then
    add_evidence(id, 'doubt', note)
  else
    conclude(id, 'unconfirmed', 'error', value)
    hinted(id, STORE_QUEUE, 0)
  end
else
  if refused then money.not_accepted(id, attempt) end
  conclude(id, ending, ending == 'succeeded' and 'result' or 'error', value)
  hinted(id, STORE_QUEUE, 0)
end
return { 'taken', get(id, 'state') }
