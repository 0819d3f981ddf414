--- include: constants record clocks provider_ids
-- The callers that wait for a job's result besides its own, and what becomes of a record when all of them know.
local function followers_key(id) return PREFIX .. 'followers:' .. id end
local function unconfirmed_followers_key(id) return PREFIX .. 'doubters:' .. id end

-- What served the job on its way, and is of no use after its end (`bide/ledger/kept.py`). The record is written anew, since a
-- hash keeps the room of what is deleted from it.
local function drop_live_fields(id)
  local kept, fields = {}, redis.call('HGETALL', job_key(id))
  for i = 1, #fields, 2 do
    if kept_as(fields[i]) ~= 'live' then
      kept[#kept + 1] = fields[i]
      kept[#kept + 1] = fields[i + 1]
    end
  end
  if #kept == #fields then return end
  redis.call('DEL', job_key(id))
  redis.call('HSET', job_key(id), unpack(kept))
  redis.call('HDEL', body_key(id), 'signature')
end

-- All callers know how the job ended: it leaves the clocks. A final record is kept for a while, an unconfirmed one until an
-- operator settles it.
local function retire(id, retention_seconds)
  off_clocks(id)
  if not FINAL[get(id, 'state')] then return end
  drop_live_fields(id)
  redis.call('EXPIRE', job_key(id), retention_seconds)
  redis.call('EXPIRE', body_key(id), retention_seconds)
  redis.call('EXPIRE', followers_key(id), retention_seconds)
  index_ids(id)
  local key = get(id, 'idem')
  if key then redis.call('EXPIRE', key, retention_seconds) end
end

-- The record of a row that lies in the results goes, with all that belongs to it.
local function delete_record(id)
  redis.call('DEL', job_key(id), body_key(id), followers_key(id))
  redis.call('ZREM', RECENT, id)
end

-- Hints for the followers; one whose record has expired waits no more.
local function follower_hints(id)
  local hints, followers = {}, redis.call('HGETALL', followers_key(id))
  for i = 1, #followers, 2 do
    if get(followers[i], 'state') then
      hints[#hints + 1] = { followers[i], STORE_QUEUE, followers[i + 1] }
    else
      redis.call('HDEL', followers_key(id), followers[i])
    end
  end
  return hints
end

-- A follower knows the end, or has left.
local function unfollow(leader, id, retention_seconds)
  redis.call('HDEL', followers_key(leader), id)
  if get(leader, 'answered') == '1' and redis.call('HLEN', followers_key(leader)) == 0 then retire(leader, retention_seconds) end
end

-- A follower knows that the job is unconfirmed: once that is settled it hears of the end, too, like the job's own caller.
local function note_unconfirmed_follower(leader, id, retention_seconds)
  local signature = redis.call('HGET', followers_key(leader), id)
  if not signature then return end
  redis.call('HSET', unconfirmed_followers_key(leader), id, signature)
  redis.call('EXPIRE', unconfirmed_followers_key(leader), retention_seconds)
end
local function follow_again(id)
  local followers = redis.call('HGETALL', unconfirmed_followers_key(id))
  for first = 1, #followers, MOST_AT_ONCE do -- an even number: names and values stay together
    redis.call('HSET', followers_key(id), unpack(followers, first, math.min(first + MOST_AT_ONCE - 1, #followers)))
  end
  redis.call('DEL', unconfirmed_followers_key(id))
end
