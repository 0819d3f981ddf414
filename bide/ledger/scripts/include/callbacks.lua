--- include: base record provider_ids
-- The callbacks that are owed, as a clock, and those that were given up, as a list.
local CALLBACKS, UNDELIVERED = PREFIX .. 'callbacks', PREFIX .. 'undelivered'

-- The request names an address to call at the job's end: `callback` counts its ends, and each is delivered from now on.
local function owe_callback(id)
  if not get(id, 'callback') then return end
  redis.call('HINCRBY', job_key(id), 'callback', 1)
  set(id, 'callback_owed', stamp(now))
  clear(id, 'callback_tries', 'callback_note')
  redis.call('ZREM', UNDELIVERED, id)
  redis.call('ZADD', CALLBACKS, now, id)
end

-- A record that would expire before its callback can be sent once more lives on.
local function keep_record(id, retention_seconds)
  for _, key in ipairs({ job_key(id), body_key(id) }) do
    local left = redis.call('TTL', key)
    if left >= 0 and left < retention_seconds then redis.call('EXPIRE', key, retention_seconds) end
  end
  index_ids(id)
end
