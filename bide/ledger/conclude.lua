-- A worker that holds the job's lease ends it; the lease stays until the caller has been told.
-- ARGV: now, id, token, state, field (result or error), value, lease seconds
local id, ending = ARGV[2], ARGV[4]
if get(id, 'token') ~= ARGV[3] then return 0 end
local state = get(id, 'state')
if state == ending then return 1 end
if FINAL[state] or (ending == 'unconfirmed' and state ~= 'submitting') then return 0 end
if ending == 'unconfirmed' and submit_again(id) then return 2 end
conclude(id, ending, ARGV[5], ARGV[6])
leased(id, ARGV[3], tonumber(ARGV[7]))
return 1
