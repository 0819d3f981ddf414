-- A worker that holds the job's lease ends it; the lease stays until the caller has been told.
-- ARGV: now, id, token, state, field (result or error), value, lease seconds, longest hold seconds
local MOST_DOUBTS = 5
local id, ending = ARGV[2], ARGV[4]
if get(id, 'token') ~= ARGV[3] then return 0 end
local state = get(id, 'state')
if state == ending then return 1 end
if FINAL[state] or (ending == 'unconfirmed' and state ~= 'submitting') then return 0 end
if ending == 'unconfirmed' then
  -- One answer gets lost now and then; so many in a row, and each further job would only be one more doubt.
  local doubts = redis.call('HINCRBY', ACCOUNT, 'doubts', 1)
  if doubts >= MOST_DOUBTS then
    strike(id, 0, tonumber(ARGV[8]), string.format('%d submits in a row got no answer that says what became of them', doubts))
  end
  if submit_again(id) then return 2 end
end
conclude(id, ending, ARGV[5], ARGV[6])
leased(id, ARGV[3], tonumber(ARGV[7]))
return 1
