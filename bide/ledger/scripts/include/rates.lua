--- include: base record
-- A rate is kept by the generic cell rate algorithm; a second's worth may come at once. How many of `wanted` fit now, where the next was due at `theoretical`; that as it counts now, and the time of one and of all.
local function cells(theoretical, per_second, wanted)
  local gap = 1 / per_second
  local burst = math.max(1, per_second) * gap
  theoretical = math.max(theoretical, now)
  if theoretical > now + burst + 1 then theoretical = now end -- booked at a lower rate that was in force before
  local fits = math.floor((now + burst - theoretical + 0.001) / gap) -- a job that comes when it opens must not come too soon
  return math.max(0, math.min(wanted, fits)), theoretical, gap, burst
end

-- How many of `wanted` fit now at a rate of the account, and when the next one does.
local function rate(field, per_second, wanted, take)
  if per_second <= 0 then return wanted, now end
  local granted, theoretical, gap, burst = cells(account(field), per_second, wanted)
  if take and granted > 0 then
    redis.call('HSET', ACCOUNT, field, string.format('%.6f', theoretical + granted * gap))
    theoretical = theoretical + granted * gap
  end
  return granted, math.max(now, theoretical + gap - burst)
end
