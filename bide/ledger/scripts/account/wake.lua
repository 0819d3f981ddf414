--- include: base record clocks admission money budgets
-- Jobs that wait for a budget go back to their places in line, as many as it has room for by now: its period has ended, or it was
-- raised. All of them, where it is no budget any more. Those of bulk runs stand in the runs' records.
-- Arguments: `hint_seconds`, `max_in_flight`, `submits_per_second`, `most` (how many of each budget), `only` (the budget to look
--   at; '' for all), and `budgets`, each with its `name`, `per` (day, month or ''), `amount` in millionths, and `over` (refuse or wait).
-- Reply: hints, a round or {}, and how many went back.
local known, woken = {}, 0
for _, budget in ipairs(budgets) do known[budget.name] = budget end

local function wake(name)
  local budget = known[name] or (money.run_of(name) and { name = name })
  local room = budget and budgets_in.room(budget)
  for _, id in ipairs(redis.call('ZRANGE', budgets_in.line_of(name), 0, most - 1)) do
    local state, price, version, waits = unpack(redis.call('HMGET', job_key(id), 'state', 'price', 'v', 'over_budget'))
    if state ~= 'queued' or waits ~= name then
      redis.call('ZREM', budgets_in.line_of(name), id)
    elseif not foreign(version) then
      if room and number(price) > room then return end
      if room then room = room - number(price) end
      line_up(id, 0)
      woken = woken + 1
    end
  end
end

for _, name in ipairs(redis.call('SMEMBERS', OVER_BUDGETS)) do
  if only == '' or only == name then wake(name) end
  if redis.call('EXISTS', budgets_in.line_of(name)) == 0 then redis.call('SREM', OVER_BUDGETS, name) end
end
local hints = {}
if woken == 0 then return { hints, {}, 0 } end
let_in(hints, max_in_flight, submits_per_second, hint_seconds, most)
return { hints, next_round(max_in_flight, submits_per_second), woken }
