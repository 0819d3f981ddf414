-- A caller was told how the job ended. When all were, the record leaves its clock.
-- ARGV: now, id, retention seconds, hint seconds, leader ('' where the caller is the job's own), max in flight,
--       submits per second, the state that a follower was told ('' where the worker does not say)
local id, leader = ARGV[2], ARGV[5]
local hint_seconds, max_in_flight, per_second = tonumber(ARGV[4]), tonumber(ARGV[6]), tonumber(ARGV[7])
local hints, state = {}, get(id, 'state')
if leader ~= '' then
  local leading, told = get(leader, 'state'), ARGV[8] or ''
  local news = leading and told ~= '' and told ~= leading -- of which it has not heard: it waits on
  if leading == 'unconfirmed' and not news then told_of_doubt(leader, id, ARGV[3]) end
  -- A doubt that was taken up while the follower was told of it: it waits on.
  if not news and (not leading or leading == 'unconfirmed' or FINAL[leading]) then unfollow(leader, id, ARGV[3]) end
elseif state and (FINAL[state] or state == 'unconfirmed') then
  set(id, 'answered', 1, 'token', '')
  hints = follower_hints(id)
  if #hints > 0 then hinted(id, 'bide.store', hint_seconds) else rest(id, ARGV[3]) end
end
-- Its end made room for others; whoever ended it may have died before saying so.
let_in(hints, max_in_flight, per_second, hint_seconds, 10)
local look = next_look(max_in_flight, per_second)
return { hints, look and ensure_round(look) or {}, redis.call('ZCOUNT', CALLBACKS, '-inf', now) }
