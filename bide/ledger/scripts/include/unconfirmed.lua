--- include: base record clocks tenants provider_ids money
-- A submit may have been accepted, and nothing says so: the job is unconfirmed. The field `doubt` is the number of the
-- attempt that may have been accepted and is made again.
local UNCONFIRMED = PREFIX .. 'unconfirmed'

-- An operator settles the job. The record keeps when, what and who, a line for each time, where the name is known.
local function settled_by(id, what, by)
  if by == '' then return end
  local before = get(id, 'settled')
  set(id, 'settled', (before and before .. '\n' or '') .. stamp(now) .. ' ' .. what .. ' by ' .. by)
end

-- The job was canceled while its submit was under way: it is not bought any more, and stopped where it turns out to be bought.
local function is_canceled(id) return string.find(get(id, 'cancel') or '', '^canceled') end

-- Another purchase is the job's from now on: what the provider made of a cancel concerned the one before.
local function ask_to_stop_anew(id)
  if is_canceled(id) then set(id, 'cancel', 'canceled') else clear(id, 'cancel') end
end

-- A doubt is over: how often each way was it, by its name.
local function count_settled(how) redis.call('HINCRBY', PREFIX .. 'settled_doubts', how, 1) end

-- Submits under the job's key may have been accepted (`include/settling`).
local function in_doubt(id) return number(get(id, 'doubted')) > 0 end
local function no_doubt(id) clear(id, 'doubted', 'doubted_last', 'settling', 'settle_tries', 'received') end

-- An earlier submit of the job may have been accepted, and nobody looks for that purchase any more: on the provider's list it
-- may be taken for another job's.
local function abandon(id)
  local key, kept_seconds = PREFIX .. 'abandoned', 24 * 3600
  redis.call('ZADD', key, now, id)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - kept_seconds)
  redis.call('EXPIRE', key, kept_seconds)
end

-- The job is submitted once more where its request allows it, and never twice more: under a key of its own.
local function submit_again(id)
  if get(id, 'resubmit') ~= '1' or get(id, 'again') or is_canceled(id) then return false end
  no_doubt(id)
  abandon(id)
  line_up(id)
  set(id, 'again', 1, 'doubt', get(id, 'submits'), 'note', 'may have been accepted; submitted again as its request allows')
  return true
end

-- Whether it is still open what became of an attempt that has lost its lease: no newer submit, and no operator's word.
local function attempt_unconfirmed(id, attempt)
  if attempt == '' or get(id, 'submits') ~= attempt then return false end
  -- Another submit under the key may have been accepted: that this one was not settles nothing.
  if in_doubt(id) and not (get(id, 'doubted') == '1' and get(id, 'doubted_last') == attempt) then return false end
  local state = get(id, 'state')
  if state == 'submitting' then return in_doubt(id) and get(id, 'settling') end
  return state == 'unconfirmed' or (state == 'queued' and get(id, 'doubt') == attempt)
end

-- The last attempt was surely not accepted: no repeated submit counts for it.
local function uncount_repeat(id)
  local counted = get(id, 'doubt') and get(id, 'doubt') == get(id, 'submits') -- else left over by an earlier release
  if counted and not in_doubt(id) then
    local repeats = number(get(id, 'resubmitted')) > 0 and 'resubmitted' or 'again'
    if redis.call('HINCRBY', job_key(id), repeats, -1) <= 0 then clear(id, repeats) end
  end
  clear(id, 'doubt')
end

-- The job was not accepted, and is unconfirmed no more: the record keeps no word of it.
local function clear_unconfirmed(id)
  if get(id, 'state') ~= 'queued' then count_settled('not_accepted') end -- else it counts as submitted again
  uncount_repeat(id)
  no_doubt(id)
  redis.call('ZREM', UNCONFIRMED, id)
  clear(id, 'error', 'finished', 'answered', 'crashes')
end

-- An earlier submit than the last may have been accepted, and cost something.
local function maybe_bought_before(id)
  return not get(id, 'free') and (get(id, 'again') or get(id, 'resubmitted') or in_doubt(id))
end

-- What a purchase was made with, and the handle that its answer gave: later calls go where it was bought.
local function bought_with(id, handle, base_url, adapter)
  if handle ~= '' then set(id, 'handle', handle) else clear(id, 'handle') end
  if base_url ~= '' then set(id, 'base_url', base_url, 'adapter', adapter) end
end

-- Ids of purchases besides the one that the job is polled as, joined by spaces (`words`), and what each was made with.
local function note_purchase(id, pid, handle, base_url, adapter)
  local others = get(id, 'other_pid') or ''
  if pid == '' or string.find(' ' .. others .. ' ', ' ' .. words.of(pid) .. ' ', 1, true) then return end
  set(id, 'other_pid', others == '' and words.of(pid) or others .. ' ' .. words.of(pid))
  index_ids(id)
  if handle == '' and base_url == '' then return end
  local purchases = cjson.decode(get(id, 'other_with') or '{}')
  purchases[pid] = { handle, base_url, adapter }
  set(id, 'other_with', cjson.encode(purchases))
end

-- The job is polled as this purchase from now on: the ids of the others, '' for none.
local function forget_purchase(id, pid)
  local others = {}
  for each in string.gmatch(get(id, 'other_pid') or '', '%S+') do
    if each ~= words.of(pid) then others[#others + 1] = each end
  end
  if #others > 0 then set(id, 'other_pid', table.concat(others, ' ')) else clear(id, 'other_pid') end
  return table.concat(others, ' ')
end

-- An earlier submit was accepted while the last one was under way. The last one was not, or is unconfirmed: the job goes
-- on as the purchase that is known, and is not bought again. False where none is known.
local function poll_known_purchase(id)
  local pid, others = string.match(get(id, 'other_pid') or '', '^(%S+) ?(.*)$')
  if not pid then return false end
  pid = words.id(pid)
  if get(id, 'attached') then unindex_id(id, get(id, 'pid')) end
  off_clocks(id)
  redis.call('ZREM', UNCONFIRMED, id)
  redis.call('SREM', CALLED_UP, id)
  tenants.take_place(id)
  redis.call('ZADD', DUE, now, id)
  no_doubt(id)
  clear(id, 'polls', 'tries', 'asked', 'crashes', 'hints', 'answered', 'error', 'finished', 'ran', 'estimate', 'doubt', 'other_pid',
    'cursor', 'empties', 'unknown_for', 'attached', 'listed', 'progress', 'fetching', 'cost')
  set(id, 'state', 'running', 'token', '', 'pid', pid, 'submitted', get(id, 'intended') or stamp(now))
  if others ~= '' then set(id, 'other_pid', others) end
  bought_with(id, unpack(cjson.decode(get(id, 'other_with') or '{}')[pid] or { '', '', '' }))
  ask_to_stop_anew(id)
  extend_deadline(id)
  return true
end
