-- What is known of how long jobs take, replaced where it still is what the new was made of. It lives as long as `account`,
-- one field for each operation. ARGV: now, then for each operation: its name, what was known, what is known now.
local DURATIONS, held = P .. 'durations', {}
for i = 2, #ARGV, 3 do
  local known = redis.call('HGET', DURATIONS, ARGV[i]) or ''
  if known == ARGV[i + 1] then
    known = ARGV[i + 2]
    redis.call('HSET', DURATIONS, ARGV[i], known)
  end
  held[#held + 1] = known
end
return held
