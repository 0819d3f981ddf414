--- include: record clocks admission
-- A worker lets go of a step that could not be done this time; the job's message comes again in a while.
-- Arguments: `id`, `token` of the lease, `seconds` until the message, `hint_seconds`, `note`, `ask_again` (forget the
--   recorded outputs), `home` (the outputs that are stored already; '' for no news), `max_in_flight`, `submits_per_second`.
-- Reply: a hint, and a round or {}; nothing where the job is not this worker's, or is being submitted.
local state = get(id, 'state')
if get(id, 'token') ~= token or state == 'submitting' then return {} end
redis.call('HINCRBY', job_key(id), 'tries', 1)
set(id, 'note', note)
clear(id, 'crashes')
if home ~= '' then set(id, 'home', home) end
if ask_again then
  clear(id, 'outputs')
  redis.call('HINCRBY', job_key(id), 'asked', 1)
end
hinted(id, get(id, 'queue'), seconds + hint_seconds)
if state ~= 'queued' then return { hint(id), {} } end
-- The job is not bought yet: others have its place meanwhile, and its hint brings it back into the line.
release(id)
set(id, 'parked', 1)
return { hint(id), next_round(max_in_flight, submits_per_second) }
