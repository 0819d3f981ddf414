--- include: base record clocks admission
-- A provider called about a job, or a process that says so: the job's next poll comes now, and never later than it would
-- have. What the record says of the job does not change; the poll itself finds out how the job stands.
-- Arguments: `id`, `gap_seconds` (the least time between two such polls), `most` (how many a job has at most).
-- Reply: a word of `Hastened`, and a round or {}.
local state, version, calls, last, asking, ran, polled, empties =
  unpack(redis.call('HMGET', job_key(id), 'state', 'v', 'calls', 'called_at', 'asking', 'ran', 'polled', 'empties'))
if state ~= 'running' or foreign(version) then return { 'nothing', {} } end
if number(calls) >= most or number(last) > now - gap_seconds then return { 'repeated', {} } end

-- After a poll that failed the provider's own wish for a pause stands. After a success without a result the last poll
-- decides, so that it must not come too soon.
local due = redis.call('ZSCORE', DUE, id)
if not due or tonumber(due) <= now or empties or number(polled) > number(ran) then return { 'nothing', {} } end

redis.call('HINCRBY', job_key(id), 'calls', 1)
set(id, 'called_at', stamp(now))
if asking then -- a poll is under way, whose answer may be older than the call: `polled` has another one follow it
  set(id, 'called', 1)
  return { 'noted', {} }
end
-- For the duration model: the end itself chose this moment, so the job has lasted until now. Spread over all the time
-- since the last poll, as for a poll that the schedule chose, it would teach that jobs are shorter.
set(id, 'ran', stamp(now))
redis.call('ZADD', DUE, now, id)
return { 'hastened', ensure_round(math.max(now, account('polls_open'))) }
