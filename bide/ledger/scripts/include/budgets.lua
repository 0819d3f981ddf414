--- include: base constants record clocks caps unconfirmed money
-- Budgets: what may be reserved and spent together in a period (UTC). A purchase stands in the periods of its intent, whatever the
-- clock says later. The keys of budgets lie outside of the account's hash tag, since a budget may be of several accounts.
-- A job that waits for a budget is out of line: it stands on the clock `lease` for as long as it may wait, and in a line of its own.
local OVER_BUDGETS = PREFIX .. 'over_budgets' -- the names of budgets that jobs of the account wait for
local BULK_LAST = 1e12 -- bulk jobs wait behind the others
local budgets_in = {}

function budgets_in.line_of(name) return PREFIX .. 'over_budget:' .. name end

-- The period of a budget that a moment falls into: a day, a month, or the only one.
function budgets_in.period(per)
  local date = money.date_of(now)
  return per == 'day' and date or per == 'month' and string.sub(date, 1, 7) or 'all'
end

-- What the record says of a wait: for which budget, until when, and what ends it before.
local function words_of_wait(budget)
  local run = money.run_of(budget.name)
  if run then return 'waits until the budget of its run is raised: bide bulk resume ' .. run .. ' with more' end
  local waits, raised = 'waits for budget ' .. budget.name, 'it is raised: bide budgets'
  if budget.per == '' then return waits .. ' until ' .. raised end
  local today = money.date_of(now)
  local year, month = string.match(today, '^(%d+)-(%d+)')
  local begins_anew = budget.per == 'day' and money.date_of(now + 86400)
    or month == '12' and string.format('%04.0f-01-01', year + 1)
    or string.format('%s-%02.0f-01', year, month + 1)
  return waits .. ' until ' .. begins_anew .. ' 00:00 UTC, or until ' .. raised
end

-- How much a bulk run may still reserve. One that was paused or canceled buys nothing, not even what is free of charge; one that
-- is over holds back nothing.
local NOTHING = -1
local function room_of_run(name)
  local state, amount, reserved, spent = unpack(redis.call('HMGET', money.budget_key(name), 'state', 'budget', 'reserved', 'spent'))
  if state == 'paused' or state == 'canceling' then return NOTHING end
  return state == 'running' and math.max(0, number(amount) - number(reserved) - number(spent)) or math.huge
end

-- How much may still be reserved in the present period; 0 also where a cost was above its price.
function budgets_in.room(budget)
  if money.run_of(budget.name) then return room_of_run(budget.name) end
  local reserved, spent = unpack(redis.call('HMGET', money.budget_key(budget.name, budgets_in.period(budget.per)), 'reserved', 'spent'))
  return math.max(0, budget.amount - number(reserved) - number(spent))
end

-- The budget that has no room for a purchase, one that refuses before one that has it wait; nil for none.
function budgets_in.without_room(budgets, price)
  local found
  for _, budget in ipairs(budgets) do
    if price > budgets_in.room(budget) and (not found or budget.over == 'refuse') then found = budget end
  end
  return found
end

-- The budgets of a purchase that is begun now, as the record has them.
function budgets_in.text(budgets)
  local names = {}
  for i, budget in ipairs(budgets) do names[i] = budget.name .. '@' .. budgets_in.period(budget.per) end
  return table.concat(names, ',')
end

-- The job gives its place up, and, where it was let in for this submit, the start that it took of the rates of account and
-- tenant. A row of a run that was surely not bought, and not paid for at an account before, has all its time again.
function budgets_in.wait(id, budget, was_let_in, per_second)
  local name = budget.name
  if was_let_in and per_second > 0 then
    redis.call('HSET', ACCOUNT, 'tat_submit', string.format('%.6f', account('tat_submit') - 1 / per_second))
  end
  if was_let_in then caps.unbook(get(id, 'tenant')) end
  release(id)
  off_clocks(id)
  if get(id, 'run') and not maybe_bought_before(id) and not get(id, 'paid_before') then set(id, 'deadline', stamp(now + FAR)) end
  redis.call('ZADD', LEASE, waits_until(id), id)
  set(id, 'state', 'queued', 'token', '', 'queue', SUBMIT_QUEUE, 'parked', 1, 'over_budget', name,
    'note', words_of_wait(budget))
  redis.call('SADD', OVER_BUDGETS, name)
  redis.call('ZADD', budgets_in.line_of(name), number(get(id, 'bulk')) * BULK_LAST + number(get(id, 'place')), id)
end
