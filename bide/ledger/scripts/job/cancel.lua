-- ARGV: now, id, error, hint seconds, retention seconds. Says what the job was, and whom to tell.
local id = ARGV[2]
local state = get(id, 'state')
if not state then return { '' } end
if foreign(get(id, 'v')) then return { 'version' } end
if state == 'canceled' and get(id, 'answered') ~= '1' and get(id, 'token') == '' then return { state, unpack(hint(id)) } end
if FINAL[state] then return { state } end
if state == 'following' then -- its caller leaves, the job goes on for the others
  local leader, retention = get(id, 'leader'), ARGV[5]
  local signature = redis.call('HGET', followers_key(leader), id) or redis.call('HGET', doubters_key(leader), id)
  redis.call('HSET', body_key(id), 'signature', signature or '')
  redis.call('EXPIRE', body_key(id), retention)
  redis.call('EXPIRE', job_key(id), retention)
  redis.call('HDEL', doubters_key(leader), id)
  unfollow(leader, id, retention)
end
conclude(id, 'canceled', 'error', ARGV[3])
hinted(id, 'bide.store', tonumber(ARGV[4]))
return { state, unpack(hint(id)) }
