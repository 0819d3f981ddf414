-- Claimed callbacks whose receivers have no place free: due again in a while, and not tried. The host is kept with the
-- record, so that the next claim need not read the request. ARGV: now, then id, host, seconds of each
for i = 2, #ARGV, 3 do
  local id = ARGV[i]
  redis.call('ZADD', CALLBACKS, 'XX', now + ARGV[i + 2], id)
  if callable(id) then set(id, 'callback_host', ARGV[i + 1]) end
end
return 1
