--- include: base record followers callbacks packing
-- A callback was tried: it is delivered, due again, or failed for good, which puts it on a list.
-- Arguments: `id`, `number_of_end` (the end that the callback reported), `outcome` (delivered, again or failed), `seconds`
--   until the next attempt, `note`, `retention_seconds`, `packs`: whether finished records are packed.
-- Reply: what is to be packed of the job's record, now that no callback is owed (`include/packing`).
if get(id, 'callback') ~= number_of_end then return {} end -- it has ended anew: that callback is still owed
redis.call('ZREM', CALLBACKS, id)
if outcome == 'delivered' or not has_ended(get(id, 'state')) then
  redis.call('ZREM', UNDELIVERED, id)
  set(id, 'callback_note', 'delivered')
  if get(id, 'collected') then delete_record(id) end
  return packs and to_pack(id) or {}
end
redis.call('HINCRBY', job_key(id), 'callback_tries', 1)
set(id, 'callback_note', note)
keep_record(id, retention_seconds)
if outcome == 'again' then
  redis.call('ZADD', CALLBACKS, now + seconds, id)
else
  redis.call('ZADD', UNDELIVERED, now, id)
  redis.call('ZREMRANGEBYSCORE', UNDELIVERED, '-inf', now - retention_seconds)
  redis.call('EXPIRE', UNDELIVERED, retention_seconds)
end
return {}
