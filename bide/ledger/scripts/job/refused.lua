--- include: base constants record clocks breaker admission unconfirmed settling followers ending
-- A submit was surely not accepted, and is worth another try: the job goes back in line, while the account's breaker is
-- open. The refusal may come late, for an attempt that is unconfirmed, and so settles it. A job whose callers know that it
-- is unconfirmed has failed then, since they may have ordered anew. It stays unconfirmed where an earlier submit of it may
-- have been accepted. Where that was under the same key, it is settled by its promise.
-- Arguments: `id`, `token` of the lease, `block_seconds` (how long the breaker is open; 0: by the number of failures),
--   `reason`, `longest_block_seconds`, `max_in_flight`, `submits_per_second`, `attempt`, `error` of a job that fails so,
--   `hint_seconds`, `unconfirmed_error` of a job that can't be settled, and `evidence` ('' for none).
-- Reply: hints, and a round or {}; nothing where the job was not this worker's.
local state = get(id, 'state')
local ours = get(id, 'token') == token and (state == 'submitting' or state == 'queued')
if not ours and not attempt_unconfirmed(id, attempt) then return {} end
count_failure(id, block_seconds, longest_block_seconds, reason)
if ours and state == 'submitting' and in_doubt(id) then
  local hints = {}
  add_evidence(id, 'doubt', evidence)
  if not poll_known_purchase(id) and not settle(id, block_seconds) then
    conclude(id, unsettled_state(id), 'error', unconfirmed_error)
    hinted(id, STORE_QUEUE, hint_seconds)
    hints = { hint(id) }
  end
  return { hints, ensure_round(next_round_at(max_in_flight, submits_per_second) or now) }
end
local callers_know = state == 'unconfirmed'
  and (get(id, 'answered') == '1' or redis.call('EXISTS', unconfirmed_followers_key(id)) == 1)
local hints = {}
if not ours then uncount_repeat(id) end
if not poll_known_purchase(id) and not (callers_know and maybe_bought_before(id)) then
  if not ours then clear_unconfirmed(id) end
  if callers_know then
    conclude(id, 'failed', 'error', error)
    hinted(id, STORE_QUEUE, hint_seconds)
    hints = { hint(id) }
  elseif ours or state ~= 'queued' then
    line_up(id)
  end
end
set(id, 'note', reason)
return { hints, ensure_round(next_round_at(max_in_flight, submits_per_second) or now) }
