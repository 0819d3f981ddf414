--- include: base record clocks unconfirmed followers callbacks money
-- What a job was asked and what it made is erased. A small record stays in its place, so that neither a message that comes again
-- nor a second submit under its id or its idempotency key buys anew. The book stays as it is.
-- Keys: `idempotency_key` (that of the record, or '').
-- Arguments: `id`, the `state` and the ids at the provider (`pid`, `other_pid`) that the record had when it was read, the `request`
--   that stays (account and operation alone), `retention_seconds`, and the `fields` that stay.
-- Reply: '' where it is erased now, else why not: 'gone', 'version', 'erased' (before), 'unanswered' (a caller has no answer
--   yet), 'changed', or the state of a job that is not over.
local found = get(id, 'state')
if not found then return 'gone' end
if foreign(get(id, 'v')) then return 'version' end
if get(id, 'erased') then return 'erased' end
if not FINAL[found] then return found end
if get(id, 'answered') ~= '1' or redis.call('HLEN', followers_key(id)) > 0 then return 'unanswered' end
if found ~= state or (get(id, 'pid') or '') ~= pid or (get(id, 'other_pid') or '') ~= other_pid then return 'changed' end
off_clocks(id)
for _, list in ipairs({ RECENT, CALLBACKS, UNDELIVERED, UNCONFIRMED }) do redis.call('ZREM', list, id) end
redis.call('DEL', job_key(id), body_key(id), followers_key(id), unconfirmed_followers_key(id))
redis.call('HSET', job_key(id), 'erased', stamp(now), unpack(fields))
redis.call('HSET', body_key(id), 'request', request)
redis.call('EXPIRE', job_key(id), retention_seconds)
redis.call('EXPIRE', body_key(id), retention_seconds)
if idempotency_key ~= '' and redis.call('HGET', idempotency_key, 'job') == id then
  redis.call('HSET', idempotency_key, 'fp', 'erased') -- the digest of the request goes, too
  redis.call('EXPIRE', idempotency_key, retention_seconds)
end
return ''
