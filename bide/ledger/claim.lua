-- A polling round starts: it takes the jobs that are due, for as long as a claim lasts.
-- ARGV: now, seq, batch, claim seconds, polls per second, max in flight, submits per second
if account('seq') ~= tonumber(ARGV[2]) or account('round_at') == 0 then return { 0, {}, {} } end
redis.call('HSET', ACCOUNT, 'round_at', 0, 'round_last', stamp(now))
local due = redis.call('ZCOUNT', DUE, '-inf', now)
local wanted = math.min(due, tonumber(ARGV[3]))
local granted, opens = rate('tat_poll', tonumber(ARGV[5]), wanted, true)
local jobs = {}
if granted > 0 then
  local claimed = redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'WITHSCORES', 'LIMIT', 0, granted)
  for i = 1, #claimed, 2 do
    local id = claimed[i]
    redis.call('ZADD', DUE, now + ARGV[4], id)
    local found = redis.call('HMGET', job_key(id), 'op', 'pid', 'cursor', 'seen', 'polls', 'deadline', 'unknown_since', 'empties')
    jobs[#jobs + 1] = { id, stamp(now - claimed[i + 1]), unpack(found, 1, 8) }
    for field = 3, 10 do jobs[#jobs][field] = jobs[#jobs][field] or '' end
  end
end
-- Whatever this round did not take, and comes up before its claims run out, is for another round beside it.
local round, look = {}, next_look(tonumber(ARGV[6]), tonumber(ARGV[7]))
if look and look < now + ARGV[4] then
  if due > granted and granted < wanted then look = math.max(look, opens) end
  if due > #jobs and granted == wanted then redis.call('HSET', ACCOUNT, 'round_last', 0) end
  round = ensure_round(look)
end
return { 1, jobs, round, stamp(now) }
