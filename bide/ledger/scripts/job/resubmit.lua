--- include: base record clocks admission unconfirmed settling
-- An operator says that an unconfirmed submit was not accepted, or is to be made again all the same. Where its provider
-- promised that the same key buys once, and still knows the key, the job is submitted under that key again.
-- Arguments: `id`, `max_in_flight`, `submits_per_second`, `by` (the operator's name, '' where it is not known).
-- Reply: 1; 0 where the job is not unconfirmed; -1 where it was canceled during its submit: that is not bought any more; 2
--   where a worker is settling it at this moment; and a round or {}.
local NOTE = 'submitted again by ' .. (by ~= '' and by or 'an operator')
local state = get(id, 'state')
if state == 'queued' and get(id, 'note') == NOTE then return { 1, {} } end -- only the answer was lost
local settling = state == 'submitting' and in_doubt(id)
if state ~= 'unconfirmed' and not settling then return { 0, {} } end
if is_canceled(id) then return { -1, {} } end
if settling and get(id, 'token') ~= '' then return { 2, {} } end
redis.call('ZREM', UNCONFIRMED, id)
clear(id, 'error', 'finished', 'answered', 'crashes', 'settling', 'settle_tries')
local attempt, contract = get(id, 'submits') or '0', get(id, 'contract')
local guarded = (contract == 'replay' or contract == 'reject') and has_promise(id) and get(id, 'submit_key')
  and number(get(id, 'submit_until')) > now
if guarded then
  set(id, 'doubted', math.max(1, number(get(id, 'doubted'))))
else
  no_doubt(id)
  abandon(id)
  if get(id, 'doubt') ~= attempt then redis.call('HINCRBY', job_key(id), 'resubmitted', 1) end -- else it counts already
end
set(id, 'note', NOTE, 'doubt', attempt)
count_settled('resubmitted')
settled_by(id, 'submitted again', by)
extend_deadline(id)
line_up(id)
return { 1, next_round(max_in_flight, submits_per_second) }
