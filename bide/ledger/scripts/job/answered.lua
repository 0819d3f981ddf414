--- include: base constants record clocks admission followers callbacks packing
-- A caller has its answer: how the job ended. When all have theirs, the record leaves its clock.
-- Arguments: `id`, `retention_seconds`, `hint_seconds`, `leader` ('' where the caller is the job's own), `max_in_flight`,
--   `submits_per_second`, `known_state`: the state of the leader that its follower knows ('' where the worker does not
--   say), and `packs`: whether finished records are packed.
-- Reply: hints, a round or {}, how many of the account's callbacks are due, and what is to be packed of the job's record, or of
--   its leader's (`include/packing`).
local hints, state = {}, get(id, 'state')
if leader ~= '' then
  local leading = get(leader, 'state')
  local news = leading and known_state ~= '' and known_state ~= leading -- which the follower has not heard: it waits on
  if leading == 'unconfirmed' and not news then note_unconfirmed_follower(leader, id, retention_seconds) end
  -- An unconfirmed job may have been taken up while its follower got its answer: the follower waits on.
  if not news and (not leading or has_ended(leading)) then unfollow(leader, id, retention_seconds) end
elseif has_ended(state) then
  set(id, 'answered', 1, 'token', '')
  hints = follower_hints(id)
  if #hints > 0 then hinted(id, STORE_QUEUE, hint_seconds) else retire(id, retention_seconds) end
end
-- Its end made room for others; the worker that ended it may have died before its report.
let_in(hints, max_in_flight, submits_per_second, hint_seconds, 10)
local round, due = next_round(max_in_flight, submits_per_second), redis.call('ZCOUNT', CALLBACKS, '-inf', now)
return { hints, round, due, packs and to_pack(leader ~= '' and leader or id) or {} }
