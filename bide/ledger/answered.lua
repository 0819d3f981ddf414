-- A caller was told how the job ended. When all were, the record leaves its clock and is kept for a while.
-- ARGV: now, id, retention seconds, hint seconds, leader ('' where the caller is the job's own)
local id, leader = ARGV[2], ARGV[5]
if leader ~= '' then
  redis.call('HDEL', followers_key(leader), id)
  if get(leader, 'answered') == '1' and redis.call('HLEN', followers_key(leader)) == 0 and FINAL[get(leader, 'state')] then
    retire(leader, ARGV[3])
  end
  return {}
end
local state = get(id, 'state')
if not state or not (FINAL[state] or state == 'unconfirmed') then return {} end
set(id, 'answered', 1, 'token', '')
local hints, followers = {}, redis.call('HGETALL', followers_key(id))
for i = 1, #followers, 2 do hints[#hints + 1] = { followers[i], 'bide.store', followers[i + 1] } end
if #hints > 0 then
  hinted(id, 'bide.store', tonumber(ARGV[4]))
elseif FINAL[state] then
  retire(id, ARGV[3])
else
  off_clocks(id) -- unconfirmed: stays on the operators' list
end
return hints
