-- An operator has the last end of a job told anew, under the same webhook id, whether it was delivered or not.
-- ARGV: now, id, retention seconds
local id = ARGV[2]
if number(get(id, 'callback')) == 0 or not callable(id) then return 0 end
redis.call('ZREM', UNDELIVERED, id)
redis.call('ZADD', CALLBACKS, now, id)
set(id, 'callback_owed', stamp(now))
clear(id, 'callback_tries')
keep(id, ARGV[3])
return 1
