-- Surely not accepted, and worth another try: back in line, while the account holds its submits for a while. Where that
-- comes late, it ends the doubt that there was meanwhile.
-- ARGV: now, id, token, hold seconds (0: by the number of strikes), reason, longest hold seconds, max in flight,
--       submits per second, attempt
local id, hold = ARGV[2], tonumber(ARGV[4])
local state = get(id, 'state')
local ours = get(id, 'token') == ARGV[3] and (state == 'submitting' or state == 'queued')
if not ours and not in_doubt(id, ARGV[9]) then return { 'lost' } end
strike(id, hold, tonumber(ARGV[6]), ARGV[5])
if not ours then undoubt(id) end
if ours or state == 'unconfirmed' then line_up(id) end
set(id, 'note', ARGV[5])
return { 'round', unpack(ensure_round(next_look(tonumber(ARGV[7]), tonumber(ARGV[8])) or now)) }
