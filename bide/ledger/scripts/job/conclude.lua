-- A worker that holds the job's lease ends it; the lease stays until the caller has been told. A refusal that comes late
-- ends the doubt that there was meanwhile.
-- ARGV: now, id, token, state, field (result or error), value, lease seconds, longest hold seconds, attempt ('' before
--       the first), what a failure means where an earlier submit may have been accepted, a note ('' for none)
-- Returns what came of it, by the numbers of `Concluded`.
local MOST_DOUBTS = 5
local id, ending = ARGV[2], ARGV[4]
local late, state = get(id, 'token') ~= ARGV[3], get(id, 'state')
local same = ARGV[9] == '' or ARGV[9] == get(id, 'submits')
if late and ending == 'failed' and same and state == 'unconfirmed' and get(id, 'error') == ARGV[10] and bought_before(id) then
  return 3 -- only the answer was lost
end
if late and not (ending == 'failed' and in_doubt(id, ARGV[9])) then return 0 end
if state == ending then return 1 end
if FINAL[state] or (ending == 'unconfirmed' and state ~= 'submitting') then return 0 end
if ending == 'unconfirmed' then
  -- One answer gets lost now and then; so many in a row, and each further job would only be one more doubt.
  local doubts = redis.call('HINCRBY', ACCOUNT, 'doubts', 1)
  if doubts >= MOST_DOUBTS then
    strike(id, 0, tonumber(ARGV[8]), string.format('%d submits in a row got no answer that says what became of them', doubts))
  end
  if go_on(id) then return 4 end
  if submit_again(id) then return 2 end
end
if late then undoubt(id) end
local unbought = ending == 'failed' and (late or state == 'submitting' or state == 'queued')
if unbought and go_on(id) then return 4 end
if unbought and bought_before(id) then
  conclude(id, 'unconfirmed', 'error', ARGV[10])
  hinted(id, 'bide.store', tonumber(ARGV[7])) -- its caller is to hear this, not that
  return 3
end
conclude(id, ending, ARGV[5], ARGV[6])
if ARGV[11] ~= '' then set(id, 'note', ARGV[11]) end
leased(id, ARGV[3], tonumber(ARGV[7]))
return 1
