--- include: base constants record clocks lanes rates breaker unconfirmed
-- A doubt that settles itself: a submit may have been accepted, and its provider's contract (or that the operation is free,
-- or the provider's list of recent jobs) lets a worker find out. The job stays `submitting`, and stands on the clock `lease` without a token: `settling`. When its
-- message comes, a worker sends the same request again under the same key, or looks the job up by it. `doubted` counts the
-- submits under the key that may have been accepted. A release of bide that knows nothing of this leaves such a job alone,
-- since it is not in line.

-- What was found out about a doubtful submit, a line for each: moment, kind of the event, text. The latest are kept.
local function add_evidence(id, kind, text)
  local MOST_LINES = 16
  if text == '' then return end
  local lines = {}
  for line in string.gmatch(get(id, 'evidence') or '', '[^\n]+') do lines[#lines + 1] = line end
  lines[#lines + 1] = stamp(now) .. ' ' .. kind .. ' ' .. text
  while #lines > MOST_LINES do table.remove(lines, 2) end -- how it began stays
  set(id, 'evidence', table.concat(lines, '\n'))
end

-- The last submit was sent under a promise: a key of a contract, or of an operation that costs nothing. Not where a release
-- of bide that knows no keys has made a submit since.
local function has_promise(id) return get(id, 'keyed') and get(id, 'keyed') == get(id, 'submits') end

-- Its job is looked for at the provider, and nothing is sent before.
local function looked_up(id)
  local contract = get(id, 'contract')
  return contract == 'reject' or contract == 'client_id' or contract == 'listing'
end

-- Nothing is sent under the key any more; it stays in the record, for people.
local function spoil_key(id)
  if get(id, 'submit_key') or get(id, 'contract') == 'listing' then set(id, 'submit_until', 0) end
end

-- The last submit may have been accepted. A doubtful submit gives the job as long as at first.
local function doubt_last_submit(id)
  if not has_promise(id) then return end
  if redis.call('HINCRBY', job_key(id), 'doubted', 1) == 1 then extend_deadline(id) end
  set(id, 'doubted_last', get(id, 'submits'))
end

-- The moment at which nothing more is tried. What is free is no matter of its key.
local function settle_until(id)
  local deadline = number(get(id, 'deadline'))
  return get(id, 'free') and deadline or math.min(deadline, number(get(id, 'submit_until')))
end

-- Its next try comes in `seconds` at least (0: by the number of tries), and once more before the time is up. Returns false
-- where no promise helps.
local function settle(id, seconds)
  local MOST_TRIES, FIRST_SECONDS, LONGEST_SECONDS = 100, 2, 600
  -- A canceled job is not bought any more: all that may be done is to look it up.
  if is_canceled(id) and not looked_up(id) then return false end
  local left = settle_until(id) - now
  if not (has_promise(id) and in_doubt(id)) or left <= 0 or number(get(id, 'settle_tries')) >= MOST_TRIES then return false end
  local tries = redis.call('HINCRBY', job_key(id), 'settle_tries', 1)
  local wait = math.max(seconds, math.min(FIRST_SECONDS * 2 ^ math.min(tries - 1, 10), LONGEST_SECONDS))
  hinted(id, SUBMIT_QUEUE, math.min(wait, math.max(left / 2, 1)))
  set(id, 'settling', 1)
  clear(id, 'hints')
  for _, lane in ipairs({ '', lane_of(id) }) do -- another may find out
    if breaker(lane, 'probe') == id then redis.call('HDEL', breaker_field(lane, 'probe')) end
  end
  return true
end

-- When a request of a settling job may go out [seconds from now]; 0 for now. It keeps its place at the provider meanwhile.
local function settle_blocked(id, per_second)
  local LONGEST_BLOCK_SECONDS = 60
  if submits_blocked(id) then
    local opens = math.max(account('gate_until'), number(breaker(lane_of(id), 'gate_until')))
    return math.min(math.max(opens - now, 5), LONGEST_BLOCK_SECONDS)
  end
  local granted, opens = rate('tat_submit', per_second, 1, false)
  return granted > 0 and 0 or math.min(math.max(opens - now, 0.1), LONGEST_BLOCK_SECONDS)
end

-- It waits for its account: no try is counted.
local function settle_later(id, seconds)
  hinted(id, SUBMIT_QUEUE, seconds)
  clear(id, 'hints')
end

-- How a doubt ends that nothing settles: what is free has failed, and nobody has to look for it.
local function unsettled_state(id) return get(id, 'free') and 'failed' or 'unconfirmed' end
