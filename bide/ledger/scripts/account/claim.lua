-- A polling round starts: it takes the jobs that are due, for as long as a claim lasts.
-- ARGV: now, seq, batch, claim seconds, polls per second, max in flight, submits per second
local batch, claim_seconds = tonumber(ARGV[3]), tonumber(ARGV[4])
local scheduled = account('round_at')
-- A superseded message may do the work of a round that is late; the round's own message then finds it done.
if scheduled == 0 or (account('seq') ~= tonumber(ARGV[2]) and scheduled > now) then return { 0 } end
redis.call('HSET', ACCOUNT, 'round_at', 0, 'round_last', stamp(now))

local due = redis.call('ZCOUNT', DUE, '-inf', now)
local wanted = math.min(due, batch)
local granted, opens = rate('tat_poll', tonumber(ARGV[5]), wanted, true)
if granted < wanted then redis.call('HSET', ACCOUNT, 'polls_open', stamp(opens)) end
local jobs = {}
local claimed = granted > 0 and redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'WITHSCORES', 'LIMIT', 0, granted) or {}
for i = 1, #claimed, 2 do
  local id = claimed[i]
  local state, version = unpack(redis.call('HMGET', job_key(id), 'state', 'v'))
  if foreign(version) then
    redis.call('ZADD', DUE, now + claim_seconds, id)
  elseif state == 'running' then
    redis.call('ZADD', DUE, now + claim_seconds, id)
    set(id, 'asking', 1)
    local found = redis.call('HMGET', job_key(id), 'op', 'pid', 'cursor', 'seen', 'polls', 'deadline', 'unknown_for', 'empties',
      'submitted', 'ran', 'estimate')
    for field = 1, 11 do found[field] = found[field] or '' end
    jobs[#jobs + 1] = { id, stamp(now - claimed[i + 1]), unpack(found, 1, 11) }
  else
    redis.call('ZREM', DUE, id)
    release(id)
  end
end

-- What was claimed, `polled` schedules. Whatever else comes up before the claims run out is for another round beside
-- this one, at once where a whole batch was taken.
local look = next_look(tonumber(ARGV[6]), tonumber(ARGV[7]))
if not look or (#jobs > 0 and look >= now + claim_seconds) then return { 1, jobs, {}, stamp(now) } end
if due > batch and granted == wanted then redis.call('HSET', ACCOUNT, 'round_last', 0) end
return { 1, jobs, ensure_round(look), stamp(now) }
