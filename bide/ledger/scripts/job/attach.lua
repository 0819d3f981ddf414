-- An operator has found out under which id the provider knows an unconfirmed job: it goes on to its result.
-- ARGV: now, id, provider's id
local id, pid = ARGV[2], ARGV[3]
local state = get(id, 'state')
if state == 'running' and get(id, 'attached') and get(id, 'pid') == pid then return { 1, {} } end -- only the answer was lost
if state ~= 'unconfirmed' then return { 0, {} } end
off_clocks(id)
redis.call('ZREM', UNCONFIRMED, id)
-- The doubt is kept: it is back if the provider turns out not to know that id.
set(id, 'state', 'running', 'token', '', 'pid', pid, 'submitted', get(id, 'intended') or stamp(now),
  'attached', get(id, 'error') or '', 'note', 'its id at the provider was attached by an operator')
clear(id, 'error', 'finished', 'answered', 'crashes', 'hints', 'tries', 'asked', 'polls')
more_time(id)
redis.call('SADD', INFLIGHT, id)
redis.call('ZADD', DUE, now, id)
return { 1, ensure_round(now) }
