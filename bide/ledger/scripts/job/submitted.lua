--- include: base constants record clocks tenants breaker admission unconfirmed settling provider_ids tenant_counts ending left money
-- The provider accepted a submit. The answer may come late: after the job's state was set to `unconfirmed`, or after it was
-- put in line to be submitted again. Then the job goes on.
-- Arguments: `id`, `attempt`, `provider_job_id`, `first_poll_seconds` (until then), `outputs` ('' for none yet, 'ask' for
--   done, ask again for them, else JSON), `hint_seconds`, `max_in_flight`, `submits_per_second`, and `estimate_seconds`:
--   the provider's estimate of the whole, or ''. `partial`: what is missing of the outputs, or ''. `handle` of the job for
--   its adapter, or ''; `base_url` and `adapter` with which it was bought, or ''. `evidence` of how a doubt was settled, or
--   ''; `others`: further ids under the key, joined by blanks; `new`: the provider says that the key was new; `breach`: it
--   had received that before; `breach_error` of a job whose provider did not keep its promise, with `{known}` for the ids
--   that are known, or ''. `cost`, as the provider says it, or ''. `retention_seconds`.
-- Reply: hints, and a round or {}; then 1 where the job was bought although it had gone on at a fallback.
local state, submits, tenant = unpack(redis.call('HMGET', job_key(id), 'state', 'submits', 'tenant'))
if not state then return { {}, {}, note_late_purchase(id, provider_job_id, retention_seconds) and 1 or 0 } end
money.accepted(id, attempt)
local settling = state == 'submitting' and get(id, 'settling')
local waits = state == 'unconfirmed' or state == 'queued' or settling -- that an earlier attempt was accepted settles it as well
local goes_on = state == 'running' or state == 'storing' or (FINAL[state] and get(id, 'pid'))
if (submits ~= attempt and not waits) or goes_on then
  -- Submitted again meanwhile, or an operator has attached another: all purchases stand, all ids are kept.
  if get(id, 'pid') ~= provider_job_id then
    note_purchase(id, provider_job_id, handle, base_url, adapter)
    if get(id, 'contract') then add_evidence(id, 'doubt', 'the provider also gave ' .. provider_job_id .. ': it may charge for each') end
  end
  return { {}, {} }
end

for each in string.gmatch(others, '%S+') do note_purchase(id, words.id(each), '', '', '') end
if new then set(id, 'key_new', 1) end
-- What is known of purchases under the same key. The provider promised that there is one, and that it is this one.
local known = in_doubt(id) and not FINAL[state] and get(id, 'other_pid')
if known then
  known = forget_purchase(id, provider_job_id)
  breach = breach or (known ~= '' and breach_error ~= '')
end
if breach and in_doubt(id) and not FINAL[state] then
  known = known and known ~= '' and known or 'another, whose id is not known,'
  note_purchase(id, provider_job_id, handle, base_url, adapter)
  add_evidence(id, 'held', 'the provider gave ' .. provider_job_id .. ' for the key of a submit that it had: ' .. known .. ' may have been bought, too')
  spoil_key(id)
  local in_json = string.sub(cjson.encode(known), 2, -2)
  conclude(id, 'unconfirmed', 'error', (string.gsub(breach_error, '{known}', function() return in_json end)))
  hinted(id, STORE_QUEUE, hint_seconds)
  return { { hint(id) }, next_round(max_in_flight, submits_per_second) }
end
add_evidence(id, 'settled', evidence)
if evidence ~= '' then
  count_settled(get(id, 'contract') or 'free')
elseif state == 'unconfirmed' or settling then
  count_settled('late_answer')
end
set(id, 'pid', provider_job_id, 'submitted', stamp(now))
if tenant then tenant_counts.add_submitted(tenant) end
index_ids(id)
bought_with(id, handle, base_url, adapter)
if cost ~= '' then set(id, 'cost', cost) else clear(id, 'cost') end
if FINAL[state] then return { {}, {} } end -- canceled meanwhile: the purchase stands, its id is kept

ask_to_stop_anew(id)
if state ~= 'submitting' or settling then extend_deadline(id) end -- the answer comes late
redis.call('ZREM', UNCONFIRMED, id)
no_doubt(id)
set(id, 'token', '')
clear(id, 'polls', 'tries', 'asked', 'crashes', 'hints', 'answered', 'error', 'finished', 'ran', 'estimate', 'doubt')
if estimate_seconds ~= '' then set(id, 'estimate', estimate_seconds) end
local recovered = count_success(id)
if outputs == '' then
  tenants.take_place(id)
  redis.call('SREM', CALLED_UP, id)
  off_clocks(id)
  set(id, 'state', 'running')
  if is_canceled(id) then first_poll_seconds = 0 end -- the poll has it stopped
  local at = math.min(now + first_poll_seconds, math.max(now, number(get(id, 'deadline'))))
  redis.call('ZADD', DUE, at, id)
  local hints = {} -- a bulk job that went leaves its turn to another, the probe to all
  if recovered or get(id, 'bulk') then let_in(hints, max_in_flight, submits_per_second, hint_seconds, 10) end
  local needed = next_round_at(max_in_flight, submits_per_second)
  return { hints, ensure_round(needed and math.min(needed, at) or at) }
end
release(id)
set(id, 'state', 'storing', 'ended', stamp(now))
if is_canceled(id) then set(id, 'cancel', 'canceled too late') end
if outputs ~= 'ask' then set(id, 'outputs', outputs) end
if partial ~= '' then set(id, 'partial', partial) end
hinted(id, STORE_QUEUE, hint_seconds)
local hints = { hint(id) }
let_in(hints, max_in_flight, submits_per_second, hint_seconds, 10)
return { hints, next_round(max_in_flight, submits_per_second) }
