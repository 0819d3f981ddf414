-- Surely not accepted, and worth another try: back in line, while the account holds its submits for a while.
-- ARGV: now, id, token, hold seconds (0: by the number of strikes), reason, longest hold seconds, max in flight,
--       submits per second
local id, hold = ARGV[2], tonumber(ARGV[4])
local state = get(id, 'state')
if get(id, 'token') ~= ARGV[3] or not (state == 'submitting' or state == 'queued') then return { 'lost' } end
strike(id, hold, tonumber(ARGV[6]), ARGV[5])
line_up(id)
set(id, 'note', ARGV[5])
return { 'round', unpack(ensure_round(next_look(tonumber(ARGV[7]), tonumber(ARGV[8])) or now)) }
