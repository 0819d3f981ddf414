--- include: base constants record clocks unconfirmed provider_ids followers callbacks money
-- What this ledger has of a job gives way to what is known of it from elsewhere: an older backup has the job as it stood before,
-- or its caller's message came again. `lost` is what is known from elsewhere: `ending`, `certain` (the provider has surely accepted
-- it), its `pid` there, `account`, when its record was `created`, and the story's last submit: `intended`, at the fallback `reached`.
-- `called_back`: it has succeeded, and its result is gone.
-- Records that were created at the same moment tell the same story; one of another moment knows nothing of the other's purchases.
local knows_less, known_as, give_way, hand_over
do
  -- Whether an account that the job has left had an id. The text is not searched for it: `cjson` writes `/` as `\/`.
  local function has_tried(tried, pid)
    for _, each in ipairs(cjson.decode(tried or '[]')) do
      if each.provider_job_id == pid then return true end
    end
  end

  -- Whether the record has an id of the provider, as its own, as another one, or as that of an account that it has left.
  local function has_id(id, pid)
    if pid == '' then return false end
    local own, others, tried, elsewhere = unpack(redis.call('HMGET', job_key(id), 'pid', 'other_pid', 'tried', 'elsewhere'))
    return own == pid or string.find(' ' .. (others or '') .. ' ', ' ' .. words.of(pid) .. ' ', 1, true)
      or has_tried(tried, pid) or string.find((elsewhere or '') .. ';', ' as ' .. words.of(pid) .. ';', 1, true)
  end

  -- The record is in line, or has failed, and no submit of it was or may have been accepted.
  local function bought_nothing(id)
    local fields = redis.call('HMGET', job_key(id), 'pid', 'other_pid', 'paid_before', 'charge_unknown')
    return not (fields[1] or fields[2] or fields[3] or fields[4] or maybe_bought_before(id))
  end

  -- Whether the last submit of the record comes before the one that is known from elsewhere; records of one story alone.
  local function stands_before(fallback, intended, lost)
    if number(fallback) ~= lost.reached then return number(fallback) < lost.reached end
    return number(intended) < lost.intended
  end

  -- Whether the record lacks what is known from elsewhere. A failure counts where it came of a purchase, or knows of the submit.
  function knows_less(id, lost)
    local state, version, created, fallback, intended, unread =
      unpack(redis.call('HMGET', job_key(id), 'state', 'v', 'created', 'fallback', 'intended', 'unread'))
    if state == 'following' then
      local leader = get(id, 'leader')
      local leading = get(leader, 'state')
      return not leading or (leading ~= 'following' and knows_less(leader, lost))
    end
    if foreign(version) then return false end
    if unread and lost.ending == 'succeeded' and not lost.called_back then return state ~= 'succeeded' and state ~= 'canceled' end
    if has_id(id, lost.pid) then return false end
    local ends_badly = lost.ending == 'failed' or lost.ending == 'canceled'
    local same, before = created == lost.created, stands_before(fallback, intended, lost)
    if state == 'failed' then
      local unaware = lost.certain or (created and (before or not same)) -- a packed record does not show when it was created
      return unaware and not ends_badly and bought_nothing(id)
    end
    if FINAL[state] then return false end
    if not same then return state == 'queued' and (lost.certain or bought_nothing(id)) end
    if before then return true end
    if number(fallback) > lost.reached then return false end
    local open = state == 'queued' or state == 'submitting' or (state == 'unconfirmed' and not get(id, 'attached'))
    return open and (lost.certain or ends_badly)
  end

  -- The reply for a job that stays as it is. Purchases that its record does not know are named in it: `lost.further` has those besides
  -- the one by which the job would go on, each as `ACCOUNT as ID`, joined by '; '. Of a submit that is in doubt the id is `unknown@MOMENT`; it may be that of this record
  -- where that tells another story.
  function known_as(id, lost)
    local state = get(id, 'state')
    local one = state == 'following' and get(id, 'leader') or id
    local created, erased, elsewhere = unpack(redis.call('HMGET', job_key(one), 'created', 'erased', 'elsewhere'))
    if not created or erased or not lost.names then return { 'known', state } end
    local purchases, unknown = lost.further, {}
    if lost.certain and lost.pid ~= '' and (created ~= lost.created or state == 'canceled') then
      purchases = purchases .. '; ' .. lost.account .. ' as ' .. words.of(lost.pid)
    end
    for purchase, pid in string.gmatch(purchases, '(%S+ as ([^%s;]+))') do
      local maybe_its_own = string.find(pid, '^unknown@') and created ~= lost.created
      if not has_id(one, words.id(pid)) and not maybe_its_own then unknown[#unknown + 1] = purchase end
    end
    if #unknown == 0 then return { 'known', state } end
    local named = table.concat(unknown, '; ')
    if not lost.dry then redis.call('HSET', job_key(one), 'elsewhere', elsewhere and elsewhere .. '; ' .. named or named) end
    return { 'twice', state, named }
  end

  -- The record leaves clocks and lists, its place, and its leader; returns what is kept of its caller's message, and `booked` of the
  -- record that takes its place.
  function give_way(id, booked)
    local signature, leader = redis.call('HGET', body_key(id), 'signature') or '', get(id, 'leader')
    if leader then
      for _, key in ipairs({ followers_key(leader), unconfirmed_followers_key(leader) }) do
        signature = redis.call('HGET', key, id) or signature
        redis.call('HDEL', key, id)
      end
    end
    off_clocks(id)
    release(id)
    for _, list in ipairs({ RECENT, UNCONFIRMED, CALLBACKS, UNDELIVERED }) do redis.call('ZREM', list, id) end
    return signature, money.take_over(id, booked)
  end

  -- The callers that wait for the result of `id` wait for that of `leader` from now on, at the account with the prefix `there`.
  function hand_over(id, leader, there)
    for _, kind in ipairs({ 'followers:', 'doubters:' }) do
      local callers = redis.call('HGETALL', PREFIX .. kind .. id)
      redis.call('DEL', PREFIX .. kind .. id)
      for i = 1, #callers, 2 do
        local each = callers[i]
        if redis.call('EXISTS', job_key(each)) == 1 then
          for _, key in ipairs({ 'job:' .. each, 'body:' .. each }) do
            if there ~= PREFIX and redis.call('EXISTS', PREFIX .. key) == 1 then redis.call('RENAME', PREFIX .. key, there .. key) end
          end
          redis.call('HSET', there .. 'job:' .. each, 'leader', leader)
          redis.call('HSET', there .. kind .. leader, each, callers[i + 1])
        end
      end
    end
  end
end

-- The job `id` was never bought, and its caller waits for the result of `leader` from now on.
local function follow_instead(id, leader, there, retention_seconds)
  local fp, deadline = unpack(redis.call('HMGET', job_key(id), 'fp', 'deadline'))
  local signature = give_way(id, '')
  hand_over(id, leader, there)
  redis.call('DEL', job_key(id), body_key(id))
  redis.call('HSET', there .. 'job:' .. id, 'v', VERSION, 'state', 'following', 'leader', leader, 'fp', fp)
  redis.call('HSET', there .. 'followers:' .. leader, id, signature)
  redis.call('EXPIRE', there .. 'job:' .. id, math.ceil(math.max(number(deadline) - now, 0) + retention_seconds))
end
