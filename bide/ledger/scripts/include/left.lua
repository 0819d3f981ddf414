--- include: base provider_ids money
-- A job that has gone on at a fallback leaves its record behind, as it was then, with the account in `moved_to`.
-- The provider says that it accepted a job that had left its account: it was bought here as well, against what the provider
-- had said before. The record notes it, wherever the job is now. Returns whether that is so.
local function note_late_purchase(id, provider_job_id, retention_seconds)
  local MOST_MOVES = 3
  local function moved_to(at) return redis.call('HGET', at .. 'left:' .. id, 'moved_to') end
  local left, to = PREFIX .. 'left:' .. id, moved_to(PREFIX)
  if not to or redis.call('HGET', left, 'pid') == provider_job_id then return false end
  redis.call('HSET', left, 'pid', provider_job_id)
  money.balance(id, left)
  local entry = string.format('%.0f %s', math.ceil(now + retention_seconds), id)
  if provider_job_id ~= '' then index_id(provider_job_id, entry, retention_seconds) end
  for _ = 1, MOST_MOVES do
    to = moved_to(string.format('bide:{%s}:', to)) or to
  end
  local job = string.format('bide:{%s}:job:%s', to, id)
  if redis.call('EXISTS', job) == 0 then return true end
  local others, purchase = redis.call('HGET', job, 'elsewhere'), string.match(PREFIX, '{(.*)}') .. ' as ' .. words.of(provider_job_id)
  redis.call('HSET', job, 'elsewhere', others and others .. '; ' .. purchase or purchase)
  return true
end
