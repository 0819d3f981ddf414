-- Rows that lie in the results need no record any more; one whose callback is still to be sent keeps its own until then.
-- KEYS: account's prefix. ARGV: now, then job ids.
for i = 2, #ARGV do
  local id = ARGV[i]
  if FINAL[get(id, 'state')] and get(id, 'answered') == '1' then
    if redis.call('ZSCORE', CALLBACKS, id) or redis.call('ZSCORE', UNDELIVERED, id) then
      set(id, 'collected', 1)
    else
      off_clocks(id)
      redis.call('DEL', job_key(id), body_key(id), followers_key(id))
    end
  end
end
return 1
