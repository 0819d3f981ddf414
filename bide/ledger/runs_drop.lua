-- Rows that lie in the results need no record any more; one whose callback is still owed keeps its own until it expires.
-- KEYS: account's prefix. ARGV: now, then job ids.
for i = 2, #ARGV do
  local id = ARGV[i]
  if FINAL[get(id, 'state')] and get(id, 'answered') == '1' and not get(id, 'callback_owed') then
    off_clocks(id)
    redis.call('DEL', job_key(id), body_key(id), followers_key(id))
  end
end
return 1
