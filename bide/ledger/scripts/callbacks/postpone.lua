--- include: base record callbacks
-- Claimed callbacks whose receivers have no place free are due again in a while, and not tried. The host is kept with the
-- record, so that the next claim need not read the request.
-- Arguments: `waiting`, each with `id`, `host`, `seconds`.
-- Reply: 1.
for _, each in ipairs(waiting) do
  redis.call('ZADD', CALLBACKS, 'XX', now + each.seconds, each.id)
  if has_ended(get(each.id, 'state')) then set(each.id, 'callback_host', each.host) end
end
return 1
