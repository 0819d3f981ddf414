--- include: base record
-- The index of provider ids: which job has which purchase of the account. An entry is the id of the job; behind a moment and a
-- blank once the job's record has an end. It counts until that moment, and as long as there is a record: so the entry of a bulk
-- row outlives the record, which goes early. Redis packs small hashes, so the ids are spread over some; where one of them is
-- full, a new id goes to one of many more.
local holder_of, index_id, index_ids, unindex_id

-- An id in a list that is joined by blanks, and back: it may have blanks itself (`bide/ledger/words.py`).
local words = {}
function words.of(provider_id) return (string.gsub(provider_id, ' ', '\1')) end
function words.id(word) return (string.gsub(word, '\1', ' ')) end

do
  local PARTS, MORE, FULL = 61, 128, 128
  local function ids_key(at, provider_id)
    local sum = 0
    for i = 1, #provider_id do sum = (sum * 31 + string.byte(provider_id, i)) % (PARTS * MORE) end
    local key = at .. 'pids:' .. sum % PARTS
    if redis.call('HEXISTS', key, provider_id) == 1 then return key end
    local another = key .. ':' .. math.floor(sum / PARTS)
    if redis.call('HEXISTS', another, provider_id) == 1 or redis.call('HLEN', key) >= FULL then return another end
    return key
  end

  -- The job of an entry, and the moment until which it counts, 0 for none. Ids of jobs have no blank.
  local function job_of(entry)
    local kept_until, id = string.match(entry, '^(%d+) (.*)$')
    return id or entry, tonumber(kept_until or 0)
  end

  local function entry_counts(at, entry)
    local id, kept_until = job_of(entry)
    return (kept_until > now or redis.call('EXISTS', at .. 'job:' .. id) == 1) and id
  end

  -- The job that has a provider id, in any account of this provider: two accounts may share a key, and so a list of jobs.
  function holder_of(provider_id, accounts)
    local provider = string.match(PREFIX, '{(.-)/')
    for _, name in ipairs(accounts) do
      if string.match(name, '^(.-)/') == provider then
        local at = string.format('bide:{%s}:', name)
        local entry = redis.call('HGET', ids_key(at, provider_id), provider_id)
        local id = entry and entry_counts(at, entry)
        if id then return id end
      end
    end
  end

  -- At every so many new entries of a hash so many others are looked at: those that count no more go.
  local TENDED_EVERY, TENDED = 16, 64
  function index_id(provider_id, entry, seconds)
    local key = ids_key(PREFIX, provider_id)
    local added = redis.call('HSET', key, provider_id, entry)
    if redis.call('TTL', key) < seconds then redis.call('EXPIRE', key, math.ceil(seconds)) end
    if added == 0 or redis.call('HLEN', key) % TENDED_EVERY ~= 0 then return end
    local entries = redis.call('HRANDFIELD', key, TENDED, 'WITHVALUES')
    for i = 1, #entries, 2 do
      if not entry_counts(PREFIX, entries[i + 1]) then redis.call('HDEL', key, entries[i]) end
    end
  end

  -- All purchases of a job stand in the index for as long as its record is kept; a live one's for long after its deadline. Called
  -- when either has changed.
  local LIVE_SECONDS = 30 * 24 * 3600
  function index_ids(id)
    local own, others, deadline = unpack(redis.call('HMGET', job_key(id), 'pid', 'other_pid', 'deadline'))
    local seconds, entry = redis.call('TTL', job_key(id)), id
    if seconds < 0 then
      seconds = math.max(number(deadline) - now, 0) + LIVE_SECONDS
    else
      entry = string.format('%.0f %s', math.ceil(now + seconds), id)
    end
    if own and own ~= '' then index_id(own, entry, seconds) end
    for each in string.gmatch(others or '', '%S+') do index_id(words.id(each), entry, seconds) end
  end

  -- The id turned out not to be this job's.
  function unindex_id(id, provider_id)
    local key = ids_key(PREFIX, provider_id)
    local entry = redis.call('HGET', key, provider_id)
    if entry and job_of(entry) == id then redis.call('HDEL', key, provider_id) end
  end
end
