--- include: base constants record clocks breaker unconfirmed settling ending fallback money
-- A worker that has the job's lease ends it; the lease stays until the caller has its answer. A refusal may come late, for
-- an attempt that is unconfirmed, and so settles it.
-- Arguments: `id`, `token` of the lease, `ending` (the new state), `field` (result or error) and its `value`,
--   `lease_seconds`, `longest_block_seconds` of the breaker, `attempt` that was refused ('' for none), `unconfirmed_error`
--   (what a failure means where an earlier submit may have been accepted), `note` ('' for none), `outputs` (the addresses of
--   a result that was not stored, '' for none), `final` (no fallback is tried), `canceled_error` (what a failure means where
--   the job was canceled during its submit, and was surely not bought), `settle_seconds` (an unconfirmed submit is settled by
--   its promise, tried after so long at least, 0 by the number of tries; '' where its key is of no use), `received` (the
--   provider has had the request), `evidence` ('' for none), `hint_seconds`, `retention_seconds`.
-- Reply: a number of `Concluded`.
local MOST_UNCONFIRMED = 5
local NOT_OURS, ENDED, AGAIN, UNCONFIRMED_AFTER_ALL, BOUGHT, CANCELED, SETTLING, MOVED = 0, 1, 2, 3, 4, 5, 6, 7
-- The provider refused the attempt: that costs nothing, unless it says otherwise. Also of a job that is over by now.
local charges = string.find(value, '"charged":%s*"yes"') or string.find(value, '"charged":%s*"unknown"')
if ending == 'failed' and not charges then money.not_accepted(id, attempt) end
local late, state = get(id, 'token') ~= token, get(id, 'state')
local same = attempt == '' or attempt == get(id, 'submits')
if late and ending == 'failed' and same and state == 'unconfirmed' and get(id, 'error') == unconfirmed_error
  and maybe_bought_before(id) then
  return UNCONFIRMED_AFTER_ALL -- only the answer was lost
end
if late and not (ending == 'failed' and attempt_unconfirmed(id, attempt)) then return NOT_OURS end
if state == ending then return ENDED end
if FINAL[state] or (ending == 'unconfirmed' and state ~= 'submitting') then return NOT_OURS end
local tried = ending == 'unconfirmed' and get(id, 'settling') -- no request was made
if ending == 'unconfirmed' and not tried then
  -- One answer gets lost now and then; so many in a row, and each further submit would only be one more unconfirmed job.
  local in_a_row = redis.call('HINCRBY', ACCOUNT, 'doubts', 1)
  if in_a_row >= MOST_UNCONFIRMED then
    local reason = string.format('%d submits in a row got no answer that says what became of them', in_a_row)
    count_failure('', id, 0, longest_block_seconds, reason)
  end
  if poll_known_purchase(id) then return BOUGHT end
  doubt_last_submit(id)
  if has_promise(id) then set(id, 'submit_ends', stamp(now)) end
  if received then set(id, 'received', 1) end
end
if ending == 'unconfirmed' then
  add_evidence(id, 'doubt', evidence)
  if not settle_seconds then spoil_key(id) end
  if settle_seconds and settle(id, settle_seconds) then
    clear(id, 'crashes')
    return SETTLING
  end
  clear(id, 'settling')
  if submit_again(id) then return AGAIN end
  ending = unsettled_state(id)
end
if late then clear_unconfirmed(id) end
local unbought = ending == 'failed' and (late or state == 'submitting' or state == 'queued')
if unbought and poll_known_purchase(id) then return BOUGHT end
if unbought and attempt == '' and in_doubt(id) and submit_again(id) then return AGAIN end -- nothing was sent, and nothing will be
if unbought and maybe_bought_before(id) then
  conclude(id, 'unconfirmed', 'error', unconfirmed_error)
  hinted(id, STORE_QUEUE, lease_seconds) -- its caller is to hear this, not that
  return UNCONFIRMED_AFTER_ALL
end
local canceled = unbought and is_canceled(id)
if canceled then
  clear(id, 'cancel')
  ending, value = 'canceled', canceled_error
end
if outputs ~= '' then set(id, 'outputs', outputs) end
if ending == 'failed' and not final and fall_back(id, value, hint_seconds, retention_seconds) then return MOVED end
conclude(id, ending, field, value)
if note ~= '' then set(id, 'note', note) end
leased(id, token, lease_seconds)
return canceled and CANCELED or ENDED
