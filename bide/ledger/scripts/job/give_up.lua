--- include: constants record clocks unconfirmed followers ending
-- An operator looks no further for an unconfirmed purchase, and bide neither: the job has failed, whatever became of it.
-- Arguments: `id`, `error` of the failed job, `hint_seconds`, `retention_seconds`, `by` (the operator's name, ''
--   where it is not known).
-- Reply: 1, or 0 where the job is not unconfirmed; and hints.
local state, caller_knows = get(id, 'state'), get(id, 'answered') == '1'
if state == 'failed' and get(id, 'given_up') then return { 1, {} } end -- only the answer was lost
if state ~= 'unconfirmed' and not (state == 'submitting' and in_doubt(id)) then return { 0, {} } end
if caller_knows then redis.call('DEL', unconfirmed_followers_key(id)) end -- a follower that knew it learns nothing new
abandon(id)
conclude(id, 'failed', 'error', error)
set(id, 'given_up', 1, 'note', 'given up by ' .. (by ~= '' and by or 'an operator'), 'token', '')
count_settled('given_up')
settled_by(id, 'given up', by)
local hints
if caller_knows then
  set(id, 'answered', 1)
  hints = follower_hints(id)
end
if hints and #hints == 0 then
  retire(id, retention_seconds)
  return { 1, {} }
end
hinted(id, STORE_QUEUE, hint_seconds)
return { 1, hints or { hint(id) } }
