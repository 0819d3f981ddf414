--- include: base constants record clocks lanes breaker unconfirmed provider_ids ending money
-- A job with fallbacks goes on at its next account once this one has surely not made it. The record moves there as a whole,
-- under the same id: it is in line there, and was never bought. What was done here stays under `left:ID` for a while.
-- All but two names are in a block: a script has 200 local ones at most.
local fall_back, leave_line
do
  -- Failures after which no account is tried: the job is over, it may have been bought, or another account changes nothing.
  local FINAL_CODES = { canceled = true, deadline = true, submission_unknown = true, crashed = true, storage = true }

  -- What a record keeps when it moves: what the job is, and who waits for it. All else is of one account.
  local KEPT = {}
  for field in string.gmatch('v fp created allowed deadline bulk resubmit idem by_client run callback fallbacks tenant', '%S+') do
    KEPT[#KEPT + 1] = field
  end

  local function fallbacks_left(id) return number(get(id, 'fallbacks')) - number(get(id, 'fallback')) end

  -- Whether the account has charged for what it did, or may have.
  local function maybe_charged(id, failure)
    if failure.charged == 'yes' then return true end
    if get(id, 'free') then return false end
    return failure.charged == 'unknown' or (get(id, 'submitted') and failure.charged ~= 'no')
  end

  -- The provider knows the id that was attached: the one submit that was in doubt is that purchase.
  local function end_doubt_of_attached(id)
    local state = get(id, 'state')
    if get(id, 'attached') and get(id, 'doubted') == '1' and (state == 'running' or state == 'storing') then no_doubt(id) end
  end

  -- The fallback that the job goes on at, and whether it has maybe been paid for by then; nothing where it ends here.
  local function next_fallback(id, failure)
    if fallbacks_left(id) <= 0 or FINAL_CODES[failure.code] or is_canceled(id) then return end
    if now >= number(get(id, 'deadline')) then return end
    -- In doubt, or bought besides: none, ever.
    if get(id, 'state') == 'unconfirmed' or in_doubt(id) or maybe_bought_before(id) or get(id, 'other_pid') then return end
    local paid = maybe_charged(id, failure) or get(id, 'paid_before')
    local request = cjson.decode(redis.call('HGET', body_key(id), 'request'))
    local fallback = (request.fallbacks or {})[number(get(id, 'fallback')) + 1]
    if fallback and (fallback.after_charge or not paid) then return fallback, paid end
  end

  -- The callers that wait for the job's result besides its own go with it.
  local function move_followers(id, there)
    for _, kind in ipairs({ 'followers:', 'doubters:' }) do
      local followers = redis.call('HKEYS', PREFIX .. kind .. id)
      for _, each in ipairs(followers) do
        for _, key in ipairs({ 'job:' .. each, 'body:' .. each }) do
          if redis.call('EXISTS', PREFIX .. key) == 1 then redis.call('RENAME', PREFIX .. key, there .. key) end
        end
      end
      if #followers > 0 then redis.call('RENAME', PREFIX .. kind .. id, there .. kind .. id) end
    end
  end

  -- What points to the job from elsewhere: its idempotency key, and its row in a bulk run.
  local function point_to(id, name)
    local key, run, row = get(id, 'idem'), get(id, 'run'), string.match(id, '%d+$')
    if key and redis.call('HGET', key, 'job') == id then redis.call('HSET', key, 'account', name) end
    if not run then return end
    local live = 'bide:run:' .. run .. ':live'
    local entry = redis.call('HGET', live, row)
    if entry then redis.call('HSET', live, row, (string.gsub(entry, '^(%S+ %S+ %S+ %S+ )%S+', '%1' .. name))) end
    local bought = 'bide:run:' .. run .. ':bought' -- taken up, and its feeder has not seen that yet
    local noted = redis.call('HGET', bought, row)
    if noted then redis.call('HSET', bought, row, (string.gsub(noted, '^%S+', name))) end
  end

  -- The record of the job at its next account: there its message finds it put off, and lines it up.
  local function record_there(id, fallback, paid, tried)
    local record = {
      'state', 'queued', 'op', fallback.operation, 'token', '', 'queue', SUBMIT_QUEUE, 'parked', 1, 'came', stamp(now),
      'fallback', number(get(id, 'fallback')) + 1, 'tried', cjson.encode(tried)
    }
    for _, field in ipairs(KEPT) do
      local value = get(id, field)
      if value then
        record[#record + 1] = field
        record[#record + 1] = value
      end
    end
    if paid then
      record[#record + 1] = 'paid_before'
      record[#record + 1] = 1
    end
    return record
  end

  -- The job ends here by `error` (a `contract.Failure` as JSON), and goes on at its next account where that is allowed.
  -- Returns the message that brings a worker to it there (as `hint` does, with the account), or nothing: then it is still
  -- to be ended.
  function fall_back(id, error, hint_seconds, retention_seconds)
    if not get(id, 'fallbacks') then return end
    local failure = cjson.decode(error)
    end_doubt_of_attached(id)
    local fallback, paid = next_fallback(id, failure)
    if not fallback then return end
    local name = fallback.provider .. '/' .. (fallback.account or 'default')
    local there, created = string.format('bide:{%s}:', name), get(id, 'created')
    local provider, account_name = string.match(PREFIX, '{(.-)/(.*)}')
    local tried = cjson.decode(get(id, 'tried') or '[]')
    tried[#tried + 1] = {
      provider = provider, account = account_name, operation = get(id, 'op'), code = failure.code, message = failure.message,
      provider_job_id = get(id, 'pid') or nil, cost = get(id, 'cost') or nil, at = stamp(now),
      charged = maybe_charged(id, failure) and 1 or nil,
    }
    local record = record_there(id, fallback, paid, tried)
    end_here(id, 'failed', 'error', error)
    off_clocks(id)
    point_to(id, name)
    move_followers(id, there)
    redis.call('EXPIRE', job_key(id), retention_seconds)
    index_ids(id)
    money.balance(id)
    redis.call('RENAME', job_key(id), PREFIX .. 'left:' .. id)
    redis.call('HSET', PREFIX .. 'left:' .. id, 'moved_to', name)
    redis.call('RENAME', body_key(id), there .. 'body:' .. id)
    redis.call('HDEL', there .. 'body:' .. id, 'polls')
    redis.call('ZREM', RECENT, id)
    redis.call('HSET', there .. 'job:' .. id, unpack(record))
    redis.call('ZADD', there .. 'recent', created, id)
    redis.call('ZADD', there .. 'lease', now + hint_seconds, id)
    redis.call('SADD', ACCOUNTS, name)
    redis.call('HINCRBY', METRICS, 'fallbacks:' .. failure.code, 1)
    return { id, SUBMIT_QUEUE, redis.call('HGET', there .. 'body:' .. id, 'signature') or '', name }
  end

  -- Why a job in line does not wait for its account any longer, where it has fallbacks left: the account is paused, its
  -- breaker is open for long or found the provider failing again, or the job's share of the deadline has passed. What holds
  -- submits back that is no matter of the account, as a store that is away, opens the breaker for no longer than that.
  local LONG_SECONDS, FAILURES_IN_A_ROW = 3, 2

  local function out_of_service(id)
    if paused() then return 'its account is paused: ' .. redis.call('HGET', ACCOUNT, 'paused') end
    for _, lane in ipairs({ '', lane_of(id) }) do
      local long = number(breaker(lane, 'gate_until')) > now + LONG_SECONDS
      local failing = number(breaker(lane, 'strikes')) >= FAILURES_IN_A_ROW
      if (long or failing) and kept_back(lane, id) then return 'the circuit breaker is open: ' .. (breaker(lane, 'gate_reason') or '') end
    end
  end

  function leave_line(id, hint_seconds, retention_seconds)
    if fallbacks_left(id) <= 0 then return end
    local budget = get(id, 'over_budget')
    local waits_for = budget and 'while the budget ' .. budget .. ' had no room for it' or 'in line'
    local why = out_of_service(id) or (now >= waits_until(id) and 'its share of the deadline passed ' .. waits_for)
    if not why then return end
    return fall_back(id, cjson.encode({ code = 'not_submitted', message = why }), hint_seconds, retention_seconds)
  end
end
