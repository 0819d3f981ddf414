--- include: base constants record clocks breaker admission unconfirmed provider_ids
-- The provider accepted a submit. The answer may come late: after the job's state was set to `unconfirmed`, or after it was
-- put in line to be submitted again. Then the job goes on.
-- Arguments: `id`, `attempt`, `provider_job_id`, `first_poll_seconds` (until then), `outputs` ('' for none yet, 'ask' for
--   done, ask again for them, else JSON), `hint_seconds`, `max_in_flight`, `submits_per_second`, and `estimate_seconds`:
--   the provider's estimate of the whole, or ''. `partial`: what is missing of the outputs, or ''. `handle` of the job for
--   its adapter, or ''; `base_url` and `adapter` with which it was bought, or ''. `cost`, as the provider says it, or ''.
-- Reply: hints, and a round or {}.
local state, submits = get(id, 'state'), get(id, 'submits')
if not state then return { {}, {} } end
local waits = state == 'unconfirmed' or state == 'queued' -- that an earlier attempt was accepted settles it as well
local goes_on = state == 'running' or state == 'storing' or (FINAL[state] and get(id, 'pid'))
if (submits ~= attempt and not waits) or goes_on then
  -- Submitted again meanwhile, or an operator has attached another: all purchases stand, all ids are kept.
  if get(id, 'pid') ~= provider_job_id then note_purchase(id, provider_job_id, handle, base_url, adapter) end
  return { {}, {} }
end
set(id, 'pid', provider_job_id, 'submitted', stamp(now))
index_ids(id)
bought_with(id, handle, base_url, adapter)
if cost ~= '' then set(id, 'cost', cost) else clear(id, 'cost') end
if FINAL[state] then return { {}, {} } end -- canceled meanwhile: the purchase stands, its id is kept

ask_to_stop_anew(id)
if state ~= 'submitting' then extend_deadline(id) end -- the answer comes late
redis.call('ZREM', UNCONFIRMED, id)
set(id, 'token', '')
clear(id, 'polls', 'tries', 'asked', 'crashes', 'hints', 'answered', 'error', 'finished', 'ran', 'estimate', 'doubt')
if estimate_seconds ~= '' then set(id, 'estimate', estimate_seconds) end
local recovered = count_success(id)
if outputs == '' then
  redis.call('SADD', INFLIGHT, id)
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
