-- A worker that holds the job's lease ends it; the lease stays until the caller has been told.
-- ARGV: now, id, token, state, field (result or error), value, lease seconds
local id = ARGV[2]
if get(id, 'token') ~= ARGV[3] then return 0 end
local state = get(id, 'state')
if state == ARGV[4] then return 1 end
if FINAL[state] then return 0 end
if ARGV[4] == 'unconfirmed' and get(id, 'resubmit') == '1' and number(get(id, 'submits')) < 2 then
  line_up(id)
  set(id, 'note', 'may have been accepted; submitted again as its request allows')
  return 2
end
conclude(id, ARGV[4], ARGV[5], ARGV[6])
leased(id, ARGV[3], tonumber(ARGV[7]))
return 1
