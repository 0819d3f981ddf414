--- include: base constants record clocks admission unconfirmed provider_ids ending fallback
-- The provider answered about some claimed jobs: the answers are recorded together.
-- Arguments: `hint_seconds`, `max_in_flight`, `submits_per_second`, `retention_seconds`, and `outcomes`, each with `id`, `kind` (running,
--   trouble, waiting, ended, failed or canceled), `seconds` until the next poll, `key` ('' or a field to write along) and its
--   `value` (for failed and canceled: the error; with the key '*': JSON, a list of fields and values by turns), `note`, `seen`
--   (the provider knows the job), `unknown_for` (for how long it has not known it, or ''), `late_seconds`, `word` (a short
--   answer, for people), `cost` (as the provider says it, or '').
-- Reply: hints, and a round or {}.

-- The last polls, for people, as text beside the request: `seconds since the job was opened, seconds late, word;` each. The
-- word is left out where it is the same again. In the record it would double that: Redis packs a hash of short values only.
local LOG_BYTES = 200
local function remember_poll(id, late_seconds, word, note)
  local log = redis.call('HGET', body_key(id), 'polls') or ''
  local opened, last_note = unpack(redis.call('HMGET', job_key(id), 'created', 'note'))
  if log ~= '' and last_note == note then word = '' end
  log = string.format('%s%.1f %s %s;', log, now - number(opened), late_seconds, word)
  if #log > LOG_BYTES then
    local cut, last_word = log:find(';', #log - LOG_BYTES, true), ''
    for each in log:sub(1, cut):gmatch('[^; ]+ [^; ]+ ([^;]+);') do last_word = each end
    log = log:sub(cut + 1)
    local _, wordless = log:find('^[^; ]+ [^; ]+ ;')
    if wordless then log = log:sub(1, wordless - 1) .. last_word .. log:sub(wordless) end
  end
  redis.call('HSET', body_key(id), 'polls', log)
end

local hints = {}

-- A job that its provider was asked to stop is polled on for a while at least, also past its deadline: what the provider makes
-- all the same is paid for.
local MOST_LATE_SECONDS = 600
local function await_stop(id)
  local until_then = now + math.min(number(get(id, 'allowed')), MOST_LATE_SECONDS)
  set(id, 'deadline', deadline_stamp(math.max(number(get(id, 'deadline')), until_then)))
end
local function was_asked_to_stop(id) return string.find(get(id, 'cancel') or '', ' ', 1, true) end

-- Writes the fields of an outcome along; returns whether the provider has made the result.
local function write_along(id, outcome)
  if outcome.key == '' then return false end
  local fields, made = { outcome.key, outcome.value }, false
  if outcome.key == '*' then fields = cjson.decode(outcome.value) end
  for i = 1, #fields, 2 do
    made = made or fields[i] == 'empties' or fields[i] == 'fetching'
    if fields[i] == 'cancel' and not was_asked_to_stop(id) then await_stop(id) end
  end
  set(id, unpack(fields))
  return made
end

local function poll_again(id, outcome, called)
  local seconds, made = outcome.seconds, write_along(id, outcome)
  if called and outcome.kind == 'running' and not made then seconds = 0 end
  local at = now + seconds
  -- A result that is made, and not to be had yet, keeps its time, past the deadline too: it is paid for. So does a job whose
  -- answer nobody here can read.
  if not made and outcome.kind ~= 'waiting' then at = math.min(at, math.max(now, number(get(id, 'deadline')))) end
  redis.call('ZADD', DUE, at, id)
end

local function go_on(id, outcome)
  -- No poll has seen yet that the id which an operator attached is this job's.
  local unseen = (outcome.note == 'lost' or outcome.note == 'deadline') and get(id, 'attached') and not get(id, 'seen')
  if outcome.kind ~= 'ended' and unseen and poll_known_purchase(id) then
    set(id, 'note', 'the provider has not confirmed the id that was attached; polled by another that it gave')
    return
  end
  if outcome.kind == 'ended' then
    release(id)
    set(id, 'state', 'storing', 'ended', stamp(now))
    clear(id, 'tries', 'hints')
    write_along(id, outcome)
  elseif unseen then
    conclude(id, 'unconfirmed', 'error', get(id, 'attached'))
    unindex_id(id, get(id, 'pid'))
    clear(id, 'attached', 'listed', 'pid', 'submitted')
    ask_to_stop_anew(id)
    set(id, 'note', 'the provider has not confirmed the id that was attached')
  else
    local moved = outcome.kind == 'failed' and fall_back(id, outcome.value, hint_seconds, retention_seconds)
    if moved then
      hints[#hints + 1] = moved
      return
    end
    conclude(id, outcome.kind, 'error', outcome.value)
  end
  hinted(id, STORE_QUEUE, hint_seconds)
  hints[#hints + 1] = hint(id)
end

for _, outcome in ipairs(outcomes) do
  local id = outcome.id
  if get(id, 'state') == 'running' then
    redis.call('HINCRBY', job_key(id), 'polls', 1)
    remember_poll(id, outcome.late_seconds, outcome.word, outcome.note)
    set(id, 'note', outcome.note, 'polled', stamp(now))
    clear(id, 'unknown_for', 'asking')
    local called = redis.call('HDEL', job_key(id), 'called') == 1 -- by the provider during the poll (`poll_now`)
    if outcome.unknown_for ~= '' then set(id, 'unknown_for', outcome.unknown_for) end
    if outcome.seen then set(id, 'seen', 1) end
    if outcome.cost ~= '' then set(id, 'cost', outcome.cost) end
    if outcome.kind == 'running' then set(id, 'ran', stamp(now)) end
    if outcome.kind == 'running' or outcome.kind == 'trouble' or outcome.kind == 'waiting' then
      poll_again(id, outcome, called)
    else
      go_on(id, outcome)
    end
  end
end
return { hints, next_round(max_in_flight, submits_per_second) }
