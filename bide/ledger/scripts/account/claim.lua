--- include: base record clocks rates lanes admission
-- A polling round starts: it claims the jobs that are due, for as long as a claim lasts.
-- Arguments: `seq` of the round, `batch` (how many jobs at most), `claim_seconds`, `polls_per_second`, `max_in_flight`,
--   `submits_per_second`.
-- Reply: 0 for a round that has no work; else 1, the claimed jobs as `replies.claimed_of` reads them, the next round or {},
--   and the time.
local scheduled = account('round_at')
-- A superseded message may do the work of a round that is late; the round's own message then finds it done.
if scheduled == 0 or (account('seq') ~= seq and scheduled > now) then return { 0 } end
redis.call('HSET', ACCOUNT, 'round_at', 0, 'round_last', stamp(now))

local due = redis.call('ZCOUNT', DUE, '-inf', now)
local wanted = math.min(due, batch)
local granted, opens = rate('tat_poll', polls_per_second, wanted, true)
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
    local values = redis.call('HMGET', job_key(id), 'op', 'pid', 'cursor', 'seen', 'polls', 'deadline', 'unknown_for', 'empties',
      'submitted', 'ran', 'estimate', 'handle', 'base_url', 'adapter', 'cancel', 'progress', 'fetching', 'lane')
    if values[18] and not has_lane(lane_name(values[1], values[18])) then values[18] = '' end -- nothing is learned of it
    for field = 1, 18 do values[field] = values[field] or '' end
    jobs[#jobs + 1] = { id, stamp(now - claimed[i + 1]), unpack(values, 1, 18) }
  else
    redis.call('ZREM', DUE, id)
    release(id)
  end
end

-- `polled` schedules what was claimed. What else comes up before the claims run out is for another round beside this one,
-- at once where a whole batch was taken; a poller that has its hands full (a batch of 0) leaves them for a moment.
local needed = next_round_at(max_in_flight, submits_per_second)
if not needed or (#jobs > 0 and needed >= now + claim_seconds) then return { 1, jobs, {}, stamp(now) } end
if batch > 0 and due > batch and granted == wanted then redis.call('HSET', ACCOUNT, 'round_last', 0) end
return { 1, jobs, ensure_round(needed), stamp(now) }
