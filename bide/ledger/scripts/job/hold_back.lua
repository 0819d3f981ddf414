--- include: record clocks breaker admission
-- A worker can't submit for a reason that is no matter of the job: the job goes back to its place in line, and the account's
-- breaker opens for a while.
-- Arguments: `id`, `token` of the worker's lease, `seconds`, `reason`, `max_in_flight`, `submits_per_second`.
-- Reply: no hints, and a round or {}; nothing where the job is not this worker's to submit.
if get(id, 'token') ~= token or get(id, 'state') ~= 'queued' then return {} end
return_to_line(id)
open_breaker(seconds, reason)
return { {}, next_round(max_in_flight, submits_per_second) }
