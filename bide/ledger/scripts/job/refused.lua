-- Surely not accepted, and worth another try: back in line, while the account holds its submits for a while. Where that
-- comes late, it ends the doubt that there was meanwhile: a job whose callers know of the doubt has failed, since they may
-- have ordered anew; it stays unconfirmed where an earlier submit of it may have been accepted.
-- ARGV: now, id, token, hold seconds (0: by the number of strikes), reason, longest hold seconds, max in flight,
--       submits per second, attempt, the failure of a job that has failed so, hint seconds
-- Returns hints and a round, or nothing where it was not ours.
local id, hold = ARGV[2], tonumber(ARGV[4])
local state = get(id, 'state')
local ours = get(id, 'token') == ARGV[3] and (state == 'submitting' or state == 'queued')
if not ours and not in_doubt(id, ARGV[9]) then return {} end
strike(id, hold, tonumber(ARGV[6]), ARGV[5])
local told = state == 'unconfirmed' and (get(id, 'answered') == '1' or redis.call('EXISTS', doubters_key(id)) == 1)
local hints = {}
if not ours then take_back(id) end
if not go_on(id) and not (told and bought_before(id)) then
  if not ours then undoubt(id) end
  if told then
    conclude(id, 'failed', 'error', ARGV[10])
    hinted(id, 'bide.store', tonumber(ARGV[11]))
    hints = { hint(id) }
  elseif ours or state == 'unconfirmed' then
    line_up(id)
  end
end
set(id, 'note', ARGV[5])
return { hints, ensure_round(next_look(tonumber(ARGV[7]), tonumber(ARGV[8])) or now) }
