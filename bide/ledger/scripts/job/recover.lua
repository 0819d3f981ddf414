--- include: base constants record clocks tenants unconfirmed settling provider_ids ending money giving_way rows
-- A job that was bought, and that this ledger does not know: its record is written anew, from a receipt, from its `job.json`, or
-- by an operator who names the provider's id. A record that knows less gives way: an older backup has it, or its caller's message
-- came again. Nothing is bought by this. A row of a run that this ledger has, and that the run has not counted yet, stays its row.
-- Keys: `idempotency_key` (or ''), `accounts` (the set of all accounts).
-- Arguments: `id`, `account_name`, `ending`: where the job stands (running, storing, succeeded, failed, canceled; unconfirmed
--   where its submit may have been accepted), `attempt`: its last submit, `accepted`: the provider accepted it, `refused`: it
--   surely did not, `provider_job_id` ('' for none), `others` (ids of further purchases, joined by blanks), `handle` of the job for its adapter, `base_url` and `adapter` with which it was bought
--   ('' each), `cost` as the provider says it (''), `outputs` and `partial` of a result that is to be stored, `value`: the result,
--   or the error of a failure or of an unconfirmed job; `request` as JSON, `signature` of the caller's task, `note` for people,
--   `intended` and `reached`: when the story's last submit was begun, and at which fallback; `names`: purchases that
--   a record does not know are named in it where it stays, `further` are those besides this one; `called_back`: no callback is owed; `leader_stays`: the job that
--   has its idempotency key was looked at; `dry`: nothing is written, `retention_seconds`; and the `fields` of the record.
-- Reply: `taken`; or why nothing was done, and by whom: `known` (with its state), `twice` (the same, and it was bought besides, as is named),
--   `conflict` (its id is another request's), `run` (a run has counted it), `held` (with the job that has the provider's id);
--   `elsewhere`: with the account and the job that has to give way before (`displace`).
local wanted = {}
for i = 1, #fields, 2 do wanted[fields[i]] = fields[i + 1] end
local state, fp, erased, own_run = unpack(redis.call('HMGET', job_key(id), 'state', 'fp', 'erased', 'run'))
local lost = { ending = ending, certain = accepted or ending == 'succeeded', pid = provider_job_id, account = account_name,
  created = wanted.created, intended = number(intended), reached = number(reached), names = names, further = further, dry = dry, called_back = called_back }
if erased then return { 'known', state } end
if state and fp ~= wanted.fp then return { 'conflict', id } end
if state and not knows_less(id, lost) then return known_as(id, lost) end
for each in string.gmatch(words.of(provider_job_id) .. ' ' .. others, '%S+') do
  local holder = holder_of(words.id(each), { account_name, unpack(redis.call('SMEMBERS', accounts)) })
  if holder and holder ~= id then return { 'held', holder } end
end
local row = own_run and { run = own_run }
if not state then
  local elsewhere = in_another_account(id, redis.call('SMEMBERS', accounts), account_name)
  if elsewhere then return { 'elsewhere', elsewhere, id } end
  row = row_in_hand(id)
  if row and not row.in_hand and FINAL[ending] then return { 'run', row.run } end
  if row and not row.in_hand then row = nil end
end
if idempotency_key ~= '' and not leader_stays then
  local other, key_fp, leads_at = unpack(redis.call('HMGET', idempotency_key, 'job', 'fp', 'account'))
  local apart = other and other ~= id and key_fp == wanted.fp and leads_at and leads_at ~= account_name
  if apart and redis.call('EXISTS', string.format('bide:{%s}:job:%s', leads_at, other)) == 1 then return { 'elsewhere', leads_at, other } end
end
if dry then return { 'taken', ending } end

redis.call('SADD', accounts, account_name)
if not row and wanted.booked then wanted.booked = without_run_budget(wanted.booked) end
if state then
  local kept
  kept, wanted.booked = give_way(id, wanted.booked)
  if signature == '' then signature = kept end
  redis.call('DEL', job_key(id), body_key(id))
else
  wanted.booked = money.take_over(id, wanted.booked)
end
redis.call('DEL', PREFIX .. 'left:' .. id)
wanted.run = row and row.run or nil
local record = {}
for name, text in pairs(wanted) do
  record[#record + 1] = name
  record[#record + 1] = text
end
redis.call('HSET', job_key(id), unpack(record))
redis.call('HSET', body_key(id), 'request', request, 'signature', signature)
redis.call('ZADD', RECENT, get(id, 'created'), id)
set(id, 'state', 'submitting', 'token', '', 'queue', SUBMIT_QUEUE, 'note', note)
if row then open_in_run(id, row.run, account_name, wanted.fp) end

-- The caller may have come again under its idempotency key, with another id: nothing is bought for that job, it follows this one.
if idempotency_key ~= '' then
  local other, key_fp, leads_at = unpack(redis.call('HMGET', idempotency_key, 'job', 'fp', 'account'))
  local there = other and redis.call('EXISTS', string.format('bide:{%s}:job:%s', leads_at or account_name, other)) == 1
  local same = there and other ~= id and key_fp == wanted.fp and leads_at == account_name and get(other, 'fp') == wanted.fp
  local gives_way = same and knows_less(other, lost)
  if gives_way and get(other, 'state') == 'queued' then follow_instead(other, id, PREFIX, retention_seconds) end
  if not there or other == id or gives_way then
    redis.call('HSET', idempotency_key, 'job', id, 'fp', wanted.fp, 'account', account_name)
    set(id, 'idem', idempotency_key)
  end
end

if handle ~= '' or base_url ~= '' then bought_with(id, handle, base_url, adapter) end
if cost ~= '' then set(id, 'cost', cost) end
for each in string.gmatch(others, '%S+') do note_purchase(id, words.id(each), '', '', '') end
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
  conclude(id, ending, ending == 'succeeded' and 'result' or 'error', value, called_back)
  hinted(id, STORE_QUEUE, 0)
end
return { 'taken', get(id, 'state') }
