-- Rows of a run become jobs in line. A job's record and the run's note that it was opened are written together: a row whose
-- record is missing was never opened, or its record is gone for good, and which of the two is known.
-- KEYS: account's prefix, the run's live rows, set of accounts. ARGV: now, account name, run, record version, then for each
-- row: row, what the run noted of it, job id, request, signature, operation, seconds it may take, resubmit, fingerprint,
-- callback. Returns how many were opened.
local LIVE, accounts = KEYS[2], redis.call('SMEMBERS', KEYS[3])
redis.call('SADD', KEYS[3], ARGV[2])
local opened = 0
for i = 5, #ARGV, 10 do
  local row, said, id, request, signature, operation, seconds, resubmit, fingerprint, callback = unpack(ARGV, i, i + 9)
  if redis.call('HGET', LIVE, row) == said then
    local became = 'x' -- it has no request any more, or somebody else's job has its id
    if id ~= '' and not get(id, 'state') and not elsewhere(id, accounts, ARGV[2]) then
      became = 'o'
      set(id, 'v', ARGV[4], 'op', operation, 'created', stamp(now), 'deadline', stamp(now + FAR), 'allowed', seconds,
        'fp', fingerprint, 'bulk', 1, 'run', ARGV[3])
      if resubmit == '1' then set(id, 'resubmit', 1) end
      if callback == '1' then set(id, 'callback', 0) end
      redis.call('HSET', body_key(id), 'request', request, 'signature', signature)
      line_up(id)
      opened = opened + 1
    end
    redis.call('HSET', LIVE, row, became .. string.sub(said, 2))
  end
end
return opened
