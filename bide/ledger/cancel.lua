-- ARGV: now, id, error, hint seconds. Says what the job was, and whom to tell.
local id = ARGV[2]
local state = get(id, 'state')
if not state then return { '' } end
if FINAL[state] then return { state } end
if state == 'following' then -- its caller leaves, the job goes on for the others
  local followers = followers_key(get(id, 'leader'))
  redis.call('HSET', body_key(id), 'signature', redis.call('HGET', followers, id) or '')
  redis.call('EXPIRE', body_key(id), redis.call('TTL', job_key(id)))
  redis.call('HDEL', followers, id)
end
conclude(id, 'canceled', 'error', ARGV[3])
hinted(id, 'bide.store', tonumber(ARGV[4]))
return { state, unpack(hint(id)) }
