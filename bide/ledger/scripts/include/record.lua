--- include: base constants
-- A job's record and its account's: their keys and fields. `PREFIX` begins all keys of one provider account, hash tag and
-- all, so that a script touches one slot.
local ACCOUNT = PREFIX .. 'account'
-- The jobs of the account by the time at which each was opened, for people. A record that has gone may still be named there.
local RECENT = PREFIX .. 'recent'
local FINAL = { succeeded = true, failed = true, canceled = true }

local function job_key(id) return PREFIX .. 'job:' .. id end
local function body_key(id) return PREFIX .. 'body:' .. id end
local function get(id, field) return redis.call('HGET', job_key(id), field) end
local function set(id, ...) redis.call('HSET', job_key(id), ...) end
local function clear(id, ...) redis.call('HDEL', job_key(id), ...) end
local function account(field) return number(redis.call('HGET', ACCOUNT, field)) end

-- Whether another version of bide wrote a record. Only that version changes it: the others move its clock on, and do
-- nothing else.
local function foreign(version) return version and version ~= VERSION end

-- Whether a job of this state is over, or unconfirmed: its callers can get an answer. A job that was taken up again has no end
-- yet, and one that has expired has none any more.
local function has_ended(state) return FINAL[state] or state == 'unconfirmed' end

-- A deadline is rounded down: nothing is bought after it. The small part more makes up for what a double can't hold.
local function deadline_stamp(seconds) return stamp(math.floor(seconds * 1000 + 0.001) / 1000) end

-- A job that is taken up again after it was given up gets as long as at first.
local function extend_deadline(id)
  set(id, 'deadline', deadline_stamp(math.max(number(get(id, 'deadline')), now + number(get(id, 'allowed')))))
end

-- How long a job waits for its account: to its deadline, or with fallbacks left for an equal share of the time that is left
-- when its turn at this account begins.
local function waits_until(id)
  local deadline, left = number(get(id, 'deadline')), number(get(id, 'fallbacks')) - number(get(id, 'fallback'))
  if left <= 0 then return deadline end
  local begins = math.max(number(get(id, 'came')), deadline - number(get(id, 'allowed')))
  return begins + (deadline - begins) / (left + 1)
end

-- An id belongs to one job in the whole deployment: the name of another account than `own` that has a job of that id.
local MOST_AT_ONCE = 1000 -- `unpack` takes some thousands
local function in_another_account(id, accounts, own)
  local names, keys = {}, {}
  for _, name in ipairs(accounts) do
    if name ~= own then names[#names + 1], keys[#keys + 1] = name, string.format('bide:{%s}:job:%s', name, id) end
  end
  for first = 1, #keys, MOST_AT_ONCE do
    local last = math.min(first + MOST_AT_ONCE - 1, #keys)
    if redis.call('EXISTS', unpack(keys, first, last)) > 0 then
      for at = first, last do
        if redis.call('EXISTS', keys[at]) > 0 then return names[at] end
      end
    end
  end
end
