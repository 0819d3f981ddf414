--- include: constants record clocks breaker admission unconfirmed settling ending money
-- A worker has written its intent, and has surely sent nothing: too few replicas had acknowledged the intent in time. The job
-- goes back to its place in line, and the account's breaker opens for a while. A job that is in doubt by an earlier submit is
-- settled later, one that was canceled meanwhile is over.
-- Arguments: `id`, `token` of the worker's lease (another lease's intent is not touched, whatever its number), `seconds`,
--   `reason`, `max_in_flight`, `submits_per_second`, `hint_seconds`, `canceled_error`, and `unconfirmed_error` of a canceled job
--   that an earlier submit may have bought.
-- Reply: hints, and a round or {}; nothing where the job is not this worker's.
local state = get(id, 'state')
if get(id, 'token') ~= token or (state ~= 'queued' and state ~= 'submitting') then return {} end
if state == 'submitting' then money.not_accepted(id, get(id, 'submits')) end
local hints = {}
local function ended_as(ending, failure)
  conclude(id, ending, 'error', failure)
  hinted(id, STORE_QUEUE, hint_seconds)
  hints = { hint(id) }
end
if state == 'submitting' and in_doubt(id) then
  if not settle(id, seconds) then ended_as(unsettled_state(id), unconfirmed_error) end
elseif is_canceled(id) and maybe_bought_before(id) then
  ended_as('unconfirmed', unconfirmed_error)
elseif is_canceled(id) then
  clear(id, 'cancel')
  ended_as('canceled', canceled_error)
else
  return_to_line(id)
end
open_breaker(seconds, reason)
set(id, 'note', reason)
return { hints, next_round(max_in_flight, submits_per_second) }
