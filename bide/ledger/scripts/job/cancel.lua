--- include: base constants record clocks unconfirmed followers ending
-- A caller or an operator cancels the job. What the provider has accepted stands. Where the provider can stop a job, one that
-- is at work there goes on: the next poll has it stopped, and records how it ended. So does one whose submit is under way: it is
-- stopped once it is accepted. One whose result is made goes on as well: that is paid for. One that is to be submitted again,
-- since its first submit may have been accepted, is unconfirmed: that purchase is stopped where it is found.
-- Arguments: `id`, `error` of a canceled job, `hint_seconds`, `retention_seconds`, `at_provider`: whether its provider can,
--   `unconfirmed_error` of a job that is unconfirmed now.
-- Reply: the state in which the job was ('' for no job, 'version' for a record of another version), then its hint, where
--   its caller is to get an answer.
local state = get(id, 'state')
if not state then return { '' } end
if foreign(get(id, 'v')) then return { 'version' } end
if state == 'canceled' and get(id, 'answered') ~= '1' and get(id, 'token') == '' then return { state, unpack(hint(id)) } end
if FINAL[state] then return { state } end
local AT_PROVIDER = { submitting = true, running = true, storing = true }
if at_provider and is_canceled(id) then return { state } end
if at_provider and state == 'queued' and maybe_bought_before(id) then
  set(id, 'cancel', 'canceled')
  conclude(id, 'unconfirmed', 'error', unconfirmed_error)
  hinted(id, STORE_QUEUE, hint_seconds)
  return { state, unpack(hint(id)) }
end
if at_provider and AT_PROVIDER[state] then
  set(id, 'cancel', state == 'storing' and 'canceled too late' or 'canceled')
  if state == 'running' then
    redis.call('ZADD', DUE, now, id)
    if get(id, 'asking') then set(id, 'called', 1) end -- a poll is under way: another one follows it
  end
  return { state }
end
if state == 'following' then -- its caller leaves, the job goes on for the others
  local leader = get(id, 'leader')
  local signature = redis.call('HGET', followers_key(leader), id) or redis.call('HGET', unconfirmed_followers_key(leader), id)
  if not signature then return { state } end -- it has its answer
  redis.call('HSET', body_key(id), 'signature', signature)
  redis.call('EXPIRE', body_key(id), retention_seconds)
  redis.call('EXPIRE', job_key(id), retention_seconds)
  redis.call('HDEL', unconfirmed_followers_key(leader), id)
  unfollow(leader, id, retention_seconds)
end
if state == 'submitting' or state == 'unconfirmed' then abandon(id) end
conclude(id, 'canceled', 'error', error)
hinted(id, STORE_QUEUE, hint_seconds)
return { state, unpack(hint(id)) }
