-- An operator looks no further for an unconfirmed purchase: the job has failed, whatever became of it.
-- ARGV: now, id, error, hint seconds, retention seconds
local id = ARGV[2]
local state, told = get(id, 'state'), get(id, 'answered') == '1'
if state == 'failed' and get(id, 'given_up') then return { 1, {} } end -- only the answer was lost
if state ~= 'unconfirmed' then return { 0, {} } end
if told then redis.call('DEL', doubters_key(id)) end -- whoever heard of the doubt learns nothing new
conclude(id, 'failed', 'error', ARGV[3])
set(id, 'given_up', 1, 'note', 'given up by an operator', 'token', '')
local hints
if told then
  set(id, 'answered', 1)
  hints = follower_hints(id)
end
if hints and #hints == 0 then
  rest(id, ARGV[5])
  return { 1, {} }
end
hinted(id, 'bide.store', tonumber(ARGV[4]))
return { 1, hints or { hint(id) } }
