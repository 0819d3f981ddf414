--- include: base record callbacks
-- An operator has the callback of a job's last end sent again, under the same webhook id, whether it was delivered or not.
-- Arguments: `id`, `retention_seconds`.
-- Reply: 1, or 0 where there is no end to tell of, or nobody asked for a callback.
if number(get(id, 'callback')) == 0 or not has_ended(get(id, 'state')) then return 0 end
redis.call('ZREM', UNDELIVERED, id)
redis.call('ZADD', CALLBACKS, now, id)
set(id, 'callback_owed', stamp(now))
clear(id, 'callback_tries')
keep_record(id, retention_seconds)
return 1
