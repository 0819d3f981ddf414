--- include: record
-- Some of an account's jobs, the latest first: for people, page by page. Names of records that have gone are taken off.
-- Arguments: `behind` and `behind_id` (time and id of the job behind which to begin, '' for the latest), `oldest` (no job
--   before this time), `examine` (how many jobs to look at), `most` (how many to return), `states` (joined by blanks, with
--   one at both ends; '' for any), `codes` (the same of failures), `operation`, `run` ('' for any), and `words`, which all stand in
--   the request as it lies in Redis, in small letters. Of a packed record only the state is looked at: Python does the rest.
-- Reply: the time and id of the last job that was looked at, '' where none is behind it; then id, time, fields and request of each.
local MOST_BYTES = 4 * 1024 * 1024 -- of requests, which are copied to be searched

local function first_rank()
  if behind == '' then return 0 end
  local rank = redis.call('ZREVRANK', RECENT, behind_id)
  if rank then return rank + 1 end
  rank = redis.call('ZCOUNT', RECENT, '(' .. behind, '+inf')
  for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', RECENT, behind, behind)) do
    if id < behind_id then break end
    rank = rank + 1
  end
  return rank
end

local function among(list, value) return list == '' or string.find(list, ' ' .. value .. ' ', 1, true) end

local function has_words(request)
  request = string.lower(request)
  for _, word in ipairs(words) do
    if not string.find(request, word, 1, true) then return false end
  end
  return true
end

local found, matching, bytes, from = {}, 0, 0, first_rank()
local chosen = operation ~= '' or run ~= '' or codes ~= '' or #words > 0 -- by what is packed
local jobs = redis.call('ZREVRANGE', RECENT, from, from + examine - 1, 'WITHSCORES')
local last_time, last_id = '', ''
for i = 1, #jobs, 2 do
  local id, time = jobs[i], jobs[i + 1]
  if tonumber(time) < oldest then return { '', '', found } end
  last_time, last_id = time, id
  local state, op, of_run, error, packed = unpack(redis.call('HMGET', job_key(id), 'state', 'op', 'run', 'error', '0'))
  if not state then
    redis.call('ZREM', RECENT, id)
  elseif packed and among(states, state) then
    local fields = redis.call('HGETALL', job_key(id))
    for _, each in ipairs(fields) do bytes = bytes + #each end
    found[#found + 1] = { id, time, fields, '' }
    if not chosen then matching = matching + 1 end
  elseif not packed and among(states, state) and (operation == '' or op == operation) and (run == '' or of_run == run)
    and (codes == '' or among(codes, string.match(error or '', '"code":%s*"([%w_]+)"') or '')) then
    local request = redis.call('HGET', body_key(id), 'request') or ''
    bytes = bytes + #request
    if #words == 0 or has_words(request) then
      found[#found + 1] = { id, time, redis.call('HGETALL', job_key(id)), request }
      matching = matching + 1
    end
  end
  if matching == most or bytes > MOST_BYTES then return { last_time, last_id, found } end
end
if #jobs < 2 * examine then last_time, last_id = '', '' end
return { last_time, last_id, found }
