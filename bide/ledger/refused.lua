-- Surely not accepted, and worth another try: back in line, while the account holds its submits for a while.
-- ARGV: now, id, token, hold seconds (0: by the number of strikes), reason, longest hold seconds, max in flight,
--       submits per second
local id = ARGV[2]
if get(id, 'token') ~= ARGV[3] then return { 'lost' } end
if account('gate_until') <= now or account('strikes') == 0 then
  local strikes = redis.call('HINCRBY', ACCOUNT, 'strikes', 1)
  local hold = tonumber(ARGV[4])
  if hold <= 0 then hold = 2 ^ math.min(strikes - 1, 10) end
  redis.call('HSET', ACCOUNT, 'gate_until', stamp(now + math.min(hold, tonumber(ARGV[6]))), 'gate_reason', ARGV[5])
end
line_up(id)
set(id, 'note', ARGV[5])
return { 'round', unpack(ensure_round(next_look(tonumber(ARGV[7]), tonumber(ARGV[8])) or now)) }
