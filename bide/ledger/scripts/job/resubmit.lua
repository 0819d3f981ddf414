--- include: record clocks admission unconfirmed
-- An operator says that an unconfirmed submit was not accepted, or is to be made again all the same.
-- Arguments: `id`, `max_in_flight`, `submits_per_second`, `by` (the operator's name, '' where it is not known).
-- Reply: 1, or 0 where the job is not unconfirmed, or -1 where it was canceled during its submit: that is not bought any more;
--   and a round or {}.
local NOTE = 'submitted again by ' .. (by ~= '' and by or 'an operator')
local state = get(id, 'state')
if state == 'queued' and get(id, 'note') == NOTE then return { 1, {} } end -- only the answer was lost
if state ~= 'unconfirmed' then return { 0, {} } end
if is_canceled(id) then return { -1, {} } end
redis.call('ZREM', UNCONFIRMED, id)
clear(id, 'error', 'finished', 'answered', 'crashes')
local attempt = get(id, 'submits') or '0'
if get(id, 'doubt') ~= attempt then redis.call('HINCRBY', job_key(id), 'resubmitted', 1) end -- else it counts already
set(id, 'note', NOTE, 'doubt', attempt)
settled_by(id, 'submitted again', by)
extend_deadline(id)
line_up(id)
return { 1, next_round(max_in_flight, submits_per_second) }
