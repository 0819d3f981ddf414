-- Shared by every move: `script_runner.py` puts it and `line.lua` in front of each of them. KEYS[1] is the prefix of one provider account,
-- hash tag and all, so that everything a move touches lies in one slot; ARGV[1] is the time in tests and '' in life.
local P = KEYS[1]
local QUEUED, LEASE, DUE = P .. 'queued', P .. 'lease', P .. 'due'
local UNCONFIRMED, INFLIGHT, ACCOUNT = P .. 'unconfirmed', P .. 'inflight', P .. 'account'
local CALLBACKS, UNDELIVERED = P .. 'callbacks', P .. 'undelivered'
local TOLD, METRICS = P .. 'told', P .. 'metrics'
local FINAL = { succeeded = true, failed = true, canceled = true }

local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] + t[2] / 1000000
end

local function stamp(seconds) return string.format('%.3f', seconds) end
-- A deadline is rounded down: nothing is bought after it. The small part more makes up for what a double can't hold.
local function deadline_stamp(seconds) return stamp(math.floor(seconds * 1000 + 0.001) / 1000) end
local function job_key(id) return P .. 'job:' .. id end
local function body_key(id) return P .. 'body:' .. id end
local function followers_key(id) return P .. 'followers:' .. id end
local function doubters_key(id) return P .. 'doubters:' .. id end
local function get(id, field) return redis.call('HGET', job_key(id), field) end
local function set(id, ...) redis.call('HSET', job_key(id), ...) end
local function clear(id, ...) redis.call('HDEL', job_key(id), ...) end
local function number(value) return tonumber(value or 0) or 0 end
local function account(field) return number(redis.call('HGET', ACCOUNT, field)) end

-- An id belongs to one job in the whole deployment: whether another account than `own` has a job of that name.
local MOST_AT_ONCE = 1000 -- `unpack` takes some thousands
local function elsewhere(id, accounts, own)
  local keys = {}
  for _, name in ipairs(accounts) do
    if name ~= own then keys[#keys + 1] = string.format('bide:{%s}:job:%s', name, id) end
  end
  for first = 1, #keys, MOST_AT_ONCE do
    if redis.call('EXISTS', unpack(keys, first, math.min(first + MOST_AT_ONCE - 1, #keys))) > 0 then return true end
  end
  return false
end

-- A record that another version of bide wrote is that version's to move on: its clock is put off, and nothing else done.
local VERSION = '1'
local function foreign(version) return version and version ~= VERSION end

local function off_clocks(id)
  redis.call('ZREM', QUEUED, id)
  redis.call('ZREM', LEASE, id)
  redis.call('ZREM', DUE, id)
end

local function release(id)
  redis.call('SREM', INFLIGHT, id)
  redis.call('SREM', TOLD, id)
end

-- Nobody works on the job, a message is under way to `queue`: told again when `seconds` have passed.
local function hinted(id, queue, seconds)
  off_clocks(id)
  redis.call('ZADD', LEASE, now + seconds, id)
  set(id, 'token', '', 'queue', queue)
end

local function hint(id)
  local found = redis.call('HGET', body_key(id), 'signature')
  return { id, get(id, 'queue') or 'bide.submit', found or '' }
end

local function leased(id, token, seconds)
  off_clocks(id)
  redis.call('ZADD', LEASE, now + seconds, id)
  redis.call('SREM', TOLD, id)
  set(id, 'token', token)
  clear(id, 'hints')
end

-- Bulk jobs stand in line by turns: a run's next row comes after its last one, and no earlier than whoever is let in now.
local BULK = 1e12
local function turn(run)
  local next = math.max(account('turn:' .. run) + 1, account('turn'))
  redis.call('HSET', ACCOUNT, 'turn:' .. run, next)
  return next
end

-- In line: interactive before bulk, then first come, first served. Each time it is lined up again a job lets 100 others
-- pass: one that is always refused blocks nobody, and one that was unlucky still comes before whoever came much later.
local PASSED_BY = 100
local function line_up(id, passed_by)
  off_clocks(id)
  release(id)
  local place, bulk = get(id, 'place'), get(id, 'bulk')
  if place then
    place = place + (passed_by or PASSED_BY)
  else
    place = bulk and turn(get(id, 'run') or '') or redis.call('HINCRBY', ACCOUNT, 'order', 1)
  end
  redis.call('ZADD', QUEUED, number(bulk) * BULK + place, id)
  set(id, 'place', place, 'state', 'queued', 'token', '', 'queue', 'bide.submit')
  clear(id, 'hints', 'parked')
end

-- May have been accepted: submitted once more where its request allows it, and never twice more. `doubt` is the attempt
-- for which it is.
local function submit_again(id)
  if get(id, 'resubmit') ~= '1' or get(id, 'again') then return false end
  line_up(id)
  set(id, 'again', 1, 'doubt', get(id, 'submits'), 'note', 'may have been accepted; submitted again as its request allows')
  return true
end

-- Whether it is still open what became of an attempt that has lost its lease: nobody has submitted again or settled it.
local function in_doubt(id, attempt)
  if attempt == '' or get(id, 'submits') ~= attempt then return false end
  local state = get(id, 'state')
  return state == 'unconfirmed' or (state == 'queued' and get(id, 'doubt') == attempt)
end

-- The last attempt was surely not accepted: nothing is made up for it.
local function take_back(id)
  if get(id, 'doubt') and get(id, 'doubt') == get(id, 'submits') then -- else left over by a release that did not clear it
    local made_up = number(get(id, 'resubmitted')) > 0 and 'resubmitted' or 'again'
    if redis.call('HINCRBY', job_key(id), made_up, -1) <= 0 then clear(id, made_up) end
  end
  clear(id, 'doubt')
end

-- And nothing is said of it any more.
local function undoubt(id)
  take_back(id)
  redis.call('ZREM', UNCONFIRMED, id)
  clear(id, 'error', 'finished', 'answered', 'crashes')
end

-- An earlier submit than the last may have been accepted.
local function bought_before(id) return get(id, 'again') or get(id, 'resubmitted') end

-- A job that is taken up again after it was given up gets as long as at first.
local function more_time(id)
  set(id, 'deadline', deadline_stamp(math.max(number(get(id, 'deadline')), now + number(get(id, 'allowed')))))
end

-- Ids of purchases besides the one that the job is polled as, joined by spaces.
local function also_bought(id, pid)
  local others = get(id, 'other_pid') or ''
  if pid == '' or string.find(' ' .. others .. ' ', ' ' .. pid .. ' ', 1, true) then return end
  set(id, 'other_pid', others == '' and pid or others .. ' ' .. pid)
end

-- An earlier submit was accepted while the last one was under way, and that one was not, or nobody knows: the job goes on
-- as the purchase that is known, and is not bought again.
local function go_on(id)
  local pid, others = string.match(get(id, 'other_pid') or '', '^(%S+) ?(.*)$')
  if not pid then return false end
  off_clocks(id)
  redis.call('ZREM', UNCONFIRMED, id)
  redis.call('SREM', TOLD, id)
  redis.call('SADD', INFLIGHT, id)
  redis.call('ZADD', DUE, now, id)
  clear(id, 'polls', 'tries', 'asked', 'crashes', 'hints', 'answered', 'error', 'finished', 'ran', 'estimate', 'doubt', 'other_pid',
    'cursor', 'empties', 'unknown_for', 'attached')
  set(id, 'state', 'running', 'token', '', 'pid', pid, 'submitted', get(id, 'intended') or stamp(now))
  if others ~= '' then set(id, 'other_pid', others) end
  more_time(id)
  return true
end

-- Let in, and not to be submitted now after all: back to its place. A run's row that was never sent has all its time again.
local FAR = 365 * 24 * 3600
local function stand_back(id)
  line_up(id, 0)
  if get(id, 'run') and not get(id, 'submits') then set(id, 'deadline', stamp(now + FAR)) end
end

-- What served the job on its way, and nobody asks for after its end. Written anew, since a hash keeps the room of what is
-- deleted from it.
local SPENT = {}
for field in string.gmatch('token queue place outputs cursor seen empties unknown_for polled ran asked hints crashes '
  .. 'parked by_client asking called doubt', '%S+') do SPENT[field] = true end
local function slim(id)
  local kept, fields = {}, redis.call('HGETALL', job_key(id))
  for i = 1, #fields, 2 do
    if not SPENT[fields[i]] then
      kept[#kept + 1] = fields[i]
      kept[#kept + 1] = fields[i + 1]
    end
  end
  if #kept == #fields then return end
  redis.call('DEL', job_key(id))
  redis.call('HSET', job_key(id), unpack(kept))
  redis.call('HDEL', body_key(id), 'signature')
end

-- All callers know how the job ended: off the clocks; a final record is kept for a while, an unconfirmed one until
-- an operator settles it.
local function rest(id, retention)
  off_clocks(id)
  if not FINAL[get(id, 'state')] then return end
  slim(id)
  redis.call('EXPIRE', job_key(id), retention)
  redis.call('EXPIRE', body_key(id), retention)
  redis.call('EXPIRE', followers_key(id), retention)
  local key = get(id, 'idem')
  if key then redis.call('EXPIRE', key, retention) end
end

-- Hints for the callers that wait for this job besides its own; one whose record has expired waits no more.
local function follower_hints(id)
  local hints, followers = {}, redis.call('HGETALL', followers_key(id))
  for i = 1, #followers, 2 do
    if get(followers[i], 'state') then
      hints[#hints + 1] = { followers[i], 'bide.store', followers[i + 1] }
    else
      redis.call('HDEL', followers_key(id), followers[i])
    end
  end
  return hints
end

-- A follower knows, or does not want to any more.
local function unfollow(leader, id, retention)
  redis.call('HDEL', followers_key(leader), id)
  if get(leader, 'answered') == '1' and redis.call('HLEN', followers_key(leader)) == 0 then rest(leader, retention) end
end

-- A follower was told of a doubt: once that is settled it hears of the end, too, like the job's own caller.
local function told_of_doubt(leader, id, retention)
  local signature = redis.call('HGET', followers_key(leader), id)
  if not signature then return end
  redis.call('HSET', doubters_key(leader), id, signature)
  redis.call('EXPIRE', doubters_key(leader), retention)
end
local function follow_again(id)
  local doubters = redis.call('HGETALL', doubters_key(id))
  for first = 1, #doubters, MOST_AT_ONCE do -- an even number: names and values stay together
    redis.call('HSET', followers_key(id), unpack(doubters, first, math.min(first + MOST_AT_ONCE - 1, #doubters)))
  end
  redis.call('DEL', doubters_key(id))
end

-- The request names an address to call at the job's end: `callback` counts its ends, and each is to be told from now on.
local function owe_callback(id)
  if not get(id, 'callback') then return end
  redis.call('HINCRBY', job_key(id), 'callback', 1)
  set(id, 'callback_owed', stamp(now))
  clear(id, 'callback_tries', 'callback_note')
  redis.call('ZREM', UNDELIVERED, id)
  redis.call('ZADD', CALLBACKS, now, id)
end

-- Whether there is an end to tell of: a job that was taken up again has none yet, one that has expired none any more.
local function callable(id)
  local state = get(id, 'state')
  return FINAL[state] or state == 'unconfirmed'
end

-- A record that would expire before its callback can be sent once more.
local function keep(id, retention)
  for _, key in ipairs({ job_key(id), body_key(id) }) do
    local left = redis.call('TTL', key)
    if left >= 0 and left < tonumber(retention) then redis.call('EXPIRE', key, retention) end
  end
end

-- The job's end (or, for `unconfirmed`, its caller's): recorded first, told to the caller by whoever gets the hint.
local function conclude(id, state, field, value)
  release(id)
  redis.call('ZREM', UNCONFIRMED, id)
  set(id, 'state', state, field, value, 'finished', stamp(now))
  clear(id, 'answered', 'crashes', 'hints')
  if state == 'unconfirmed' then
    redis.call('ZADD', UNCONFIRMED, now, id)
  else
    follow_again(id)
    if not get(id, 'leader') then redis.call('HINCRBY', METRICS, 'ended_jobs:' .. state, 1) end
  end
  owe_callback(id)
end
