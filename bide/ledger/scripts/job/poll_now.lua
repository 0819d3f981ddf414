-- A provider called about a job, or somebody who says so: its next look comes now, and never later than it would have.
-- What is known of the job does not change; the look itself says how the job stands.
-- ARGV: now, id, the least time between two such looks [seconds], how many a job has at most
local id, gap, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local state, version, calls, last, asking, ran, polled, empties =
  unpack(redis.call('HMGET', job_key(id), 'state', 'v', 'calls', 'called_at', 'asking', 'ran', 'polled', 'empties'))
if state ~= 'running' or foreign(version) then return { 'nothing', {} } end
if number(calls) >= most or number(last) > now - gap then return { 'repeated', {} } end

-- After a poll that failed the provider's own wish for a pause stands; after a success without a result the last look
-- decides, so that it must not come too soon.
local due = redis.call('ZSCORE', DUE, id)
if not due or tonumber(due) <= now or empties or number(polled) > number(ran) then return { 'nothing', {} } end

redis.call('HINCRBY', job_key(id), 'calls', 1)
set(id, 'called_at', stamp(now))
if asking then -- a poll is under way, whose answer may be older than the call: `polled` has another one follow it
  set(id, 'called', 1)
  return { 'noted', {} }
end
-- For what is learned of durations: the end itself chose this moment, so the job has lasted until now. Spread over all
-- the time since the last look, as for a look that the timetable chose, it would teach that jobs are shorter.
set(id, 'ran', stamp(now))
redis.call('ZADD', DUE, now, id)
return { 'hastened', ensure_round(math.max(now, account('polls_open'))) }
