-- Surely not accepted, and worth another try: back in line, while the account holds its submits for a while.
-- ARGV: now, id, token, hold seconds (0: by the number of strikes), reason, longest hold seconds, max in flight,
--       submits per second
local id, hold = ARGV[2], tonumber(ARGV[4])
local state = get(id, 'state')
if get(id, 'token') ~= ARGV[3] or not (state == 'submitting' or state == 'queued') then return { 'lost' } end
-- Submits that were on their way when the account was struck are the same strike.
local strikes = account('strikes')
if strikes == 0 or number(get(id, 'intended')) > account('struck_at') then
  strikes = redis.call('HINCRBY', ACCOUNT, 'strikes', 1)
  redis.call('HSET', ACCOUNT, 'struck_at', stamp(now))
  if hold <= 0 then hold = 2 ^ math.min(strikes - 1, 10) end
end
local gate = math.max(account('gate_until'), now + math.min(hold, tonumber(ARGV[6])))
redis.call('HSET', ACCOUNT, 'gate_until', stamp(gate), 'gate_reason', ARGV[5])
line_up(id)
set(id, 'note', ARGV[5])
return { 'round', unpack(ensure_round(next_look(tonumber(ARGV[7]), tonumber(ARGV[8])) or now)) }
