--- include: base
-- A job that is taken up may be the row of a bulk run, `RUN.ROW`, that this ledger has.
local row_in_hand, open_in_run, without_run_budget
do
  local function run_key(run, name) return 'bide:run:' .. run .. ':' .. name end

  -- What the run notes of a live row; and whether it has not come to the row yet. A row that was bought before the run came to it
  -- (`ahead`) is live, or counted.
  local function live_or_to_come(run, row)
    local rows, cursor = unpack(redis.call('HMGET', run_key(run, 'record'), 'rows', 'row'))
    local live = redis.call('HGET', run_key(run, 'live'), row)
    local in_input = number(row) >= number(cursor) and number(row) <= number(rows)
    return live, not live and in_input and redis.call('SISMEMBER', run_key(run, 'ahead'), row) == 0
  end

  -- The run of a row, and whether the run has it in hand: it is live there and may have a job, or the run has not come to it yet.
  -- Else the run has counted its end, maybe of a row that had failed, or was canceled, before it was bought. Nothing where there
  -- is no such run.
  function row_in_hand(id)
    local run, row = string.match(id, '^([^.]+)%.([1-9]%d*)$')
    local state = run and redis.call('HGET', run_key(run, 'record'), 'state')
    if not state then return end
    local live, to_come = live_or_to_come(run, row)
    local over = state == 'finished' or state == 'canceled'
    return { run = run, in_hand = not over and (to_come or (live and string.find(live, '^[co] ') ~= nil)) }
  end

  -- The run notes that a row was bought, and at which account. Its feeder compares the row with the `fp` of the job, and makes a
  -- row live that the run has not come to yet.
  function open_in_run(id, run, account_name, fp)
    local row = string.match(id, '%d+$')
    local live, to_come = live_or_to_come(run, row)
    local may_have = live and string.find(live, '^[co] ')
    if to_come or may_have then redis.call('HSET', run_key(run, 'bought'), row, account_name .. ' ' .. fp) end
    if may_have then
      local noted = string.gsub(live, '^. (%S+ %S+ %S+ )%S+', 'o %1' .. account_name)
      redis.call('HSET', run_key(run, 'live'), row, noted)
    end
  end

  -- `booked` without the budget of a run. The job is no row of it any more: nothing of it was reserved there.
  function without_run_budget(booked)
    local lines = {}
    for line in string.gmatch(booked, '[^;]+') do
      local first, budgets = string.match(line, '^(.* )(%S*)$')
      local kept = {}
      for each in string.gmatch(budgets or '', '[^,]+') do
        if not string.find(each, '^run:') then kept[#kept + 1] = each end
      end
      lines[#lines + 1] = (first or line) .. table.concat(kept, ',')
    end
    return table.concat(lines, ';')
  end
end
