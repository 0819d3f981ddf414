-- What the provider said about some claimed jobs, recorded together.
-- ARGV: now, hint seconds, max in flight, submits per second, then for each job: id, kind, seconds, field, value, note,
--       seen, for how long the job has been unknown, seconds late, and a short word for people. Kinds: running,
--       trouble, ended, failed.

-- The last polls, for people, as text beside the request: `seconds since the job was opened, seconds late, word;` each, the
-- word left out where it is the same again. In the record it would double that: Redis packs a hash of short values only.
local LOG_BYTES = 200
local function remember_poll(id, late, word, note)
  local log = redis.call('HGET', body_key(id), 'polls') or ''
  local opened, noted = unpack(redis.call('HMGET', job_key(id), 'created', 'note'))
  if log ~= '' and noted == note then word = '' end
  log = string.format('%s%.1f %s %s;', log, now - number(opened), late, word)
  if #log > LOG_BYTES then
    local cut, said = log:find(';', #log - LOG_BYTES, true), ''
    for each in log:sub(1, cut):gmatch('[^; ]+ [^; ]+ ([^;]+);') do said = each end
    log = log:sub(cut + 1)
    local _, wordless = log:find('^[^; ]+ [^; ]+ ;')
    if wordless then log = log:sub(1, wordless - 1) .. said .. log:sub(wordless) end
  end
  redis.call('HSET', body_key(id), 'polls', log)
end

local hints = {}
for i = 5, #ARGV, 10 do
  local id, kind, seconds, field, value = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3], ARGV[i + 4]
  if get(id, 'state') == 'running' then
    redis.call('HINCRBY', job_key(id), 'polls', 1)
    remember_poll(id, ARGV[i + 8], ARGV[i + 9], ARGV[i + 5])
    set(id, 'note', ARGV[i + 5], 'polled', stamp(now))
    clear(id, 'unknown_for', 'asking')
    local called = redis.call('HDEL', job_key(id), 'called') == 1 -- by the provider, while it was asked (`hasten`)
    if ARGV[i + 7] ~= '' then set(id, 'unknown_for', ARGV[i + 7]) end
    if ARGV[i + 6] == '1' then set(id, 'seen', 1) end
    if kind == 'running' then set(id, 'ran', stamp(now)) end
    if kind == 'running' or kind == 'trouble' then
      if field ~= '' then set(id, field, value) end
      if called and kind == 'running' and field ~= 'empties' then seconds = 0 end
      redis.call('ZADD', DUE, math.min(now + seconds, math.max(now, number(get(id, 'deadline')))), id)
    else
      local unseen = (ARGV[i + 5] == 'lost' or ARGV[i + 5] == 'deadline') and get(id, 'attached') and not get(id, 'seen')
      local other = kind == 'failed' and unseen and go_on(id) -- not the attached one, but another that is known
      if other then
        set(id, 'note', 'the provider has not confirmed the id that was attached; polled by another that it gave')
      elseif kind == 'ended' then
        release(id)
        set(id, 'state', 'storing', 'ended', stamp(now))
        clear(id, 'tries', 'hints')
        if value ~= '' then set(id, 'outputs', value) end
      elseif unseen then
        conclude(id, 'unconfirmed', 'error', get(id, 'attached')) -- nobody has seen that the attached id is this job's
        clear(id, 'attached', 'pid', 'submitted')
        set(id, 'note', 'the provider has not confirmed the id that was attached')
      else
        conclude(id, 'failed', 'error', value)
      end
      if not other then
        hinted(id, 'bide.store', tonumber(ARGV[2]))
        hints[#hints + 1] = hint(id)
      end
    end
  end
end
local look = next_look(tonumber(ARGV[3]), tonumber(ARGV[4]))
return { hints, look and ensure_round(look) or {} }
