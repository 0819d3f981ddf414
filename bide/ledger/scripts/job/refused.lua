--- include: base constants record clocks breaker admission unconfirmed settling followers ending fallback money
-- A submit was surely not accepted, and is worth another try: the job goes back in line, while the account's breaker is
-- open. The refusal may come late, for an attempt that is unconfirmed, and so settles it. A job whose callers know that it
-- is unconfirmed has failed then, since they may have ordered anew. One that was canceled meanwhile is canceled. It is, or
-- stays, unconfirmed where an earlier submit of it may have been accepted. Where that was under the same key, it is settled by
-- its promise.
-- Arguments: `id`, `token` of the lease, `block_seconds` (how long the breaker is open; 0: by the number of failures),
--   `reason`, `longest_block_seconds`, `max_in_flight`, `submits_per_second`, `attempt`, `error` of a job that fails so,
--   `hint_seconds`, `canceled_error` of a job that was canceled, `unconfirmed_error` of one that is unconfirmed now,
--   `unsettled_error` of one that its promise does not settle, `evidence` ('' for none), and `retention_seconds`.
-- Reply: hints, and a round or {}; nothing where the job was not this worker's.
local state = get(id, 'state')
money.not_accepted(id, attempt) -- also of a job that is over by now
local ours = get(id, 'token') == token and (state == 'submitting' or state == 'queued')
if not ours and not attempt_unconfirmed(id, attempt) then return {} end
count_job_failure(id, block_seconds, longest_block_seconds, reason)
local callers_know = state == 'unconfirmed'
  and (get(id, 'answered') == '1' or redis.call('EXISTS', unconfirmed_followers_key(id)) == 1)
local hints, moved = {}, nil
local function ended_as(ending, failure)
  conclude(id, ending, 'error', failure)
  hinted(id, STORE_QUEUE, hint_seconds)
  hints = { hint(id) }
end
-- Not bought any more. The callers of an unconfirmed job that may have been bought before know all there is to know.
local function not_again()
  local bought_before = maybe_bought_before(id)
  if bought_before and ours then return ended_as('unconfirmed', unconfirmed_error) end
  if bought_before then return end
  if not ours then clear_unconfirmed(id) end
  if is_canceled(id) then
    clear(id, 'cancel')
    return ended_as('canceled', canceled_error)
  end
  ended_as('failed', error)
end
if not ours then uncount_repeat(id) end
if ours and state == 'submitting' and in_doubt(id) then
  add_evidence(id, 'doubt', evidence)
  if not poll_known_purchase(id) and not settle(id, block_seconds) then
    if is_canceled(id) and get(id, 'free') then not_again() else ended_as(unsettled_state(id), unsettled_error) end
  end
elseif not poll_known_purchase(id) then
  if callers_know or is_canceled(id) then
    not_again()
  else
    if not ours then clear_unconfirmed(id) end
    if ours or state ~= 'queued' then
      line_up(id)
      moved = leave_line(id, hint_seconds, retention_seconds)
    end
  end
end
if moved then hints = { moved } else set(id, 'note', reason) end
return { hints, ensure_round(next_round_at(max_in_flight, submits_per_second) or now) }
