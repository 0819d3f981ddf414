--- include: base
-- A job that is taken up may be the row of a bulk run, `RUN.ROW`, that this ledger has.
local row_in_hand, open_in_run, without_run_budget
do
  local function run_key(run, name) return 'bide:run:' .. run .. ':' .. name end

  -- The run of a row, and whether the run has it in hand: it is live there and may have a job, or the run has not come to it yet.
  -- Else the run has counted its end; one that is canceled has counted rows that it never bought. Nothing where there is no such run.
  function row_in_hand(id)
    local run, row = string.match(id, '^([^.]+)%.([1-9]%d*)$')
    if not run then return end
    local rows, cursor, state = unpack(redis.call('HMGET', run_key(run, 'record'), 'rows', 'row', 'state'))
    if not state then return end
    local live = redis.call('HGET', run_key(run, 'live'), row)
    local kind, over = live and string.sub(live, 1, 1), state == 'finished' or state == 'canceled'
    local to_come = not live and number(row) >= number(cursor) and number(row) <= number(rows)
    local in_hand = not over and (kind == 'c' or kind == 'o' or to_come)
    return { run = run, in_hand = in_hand, maybe_unbought = state == 'canceled' or state == 'canceling' or live }
  end

  -- The run notes that a live row has its job, at this account. A row that is not live yet finds the job when its turn comes.
  function open_in_run(id, run, account_name)
    local key, row = run_key(run, 'live'), string.match(id, '%d+$')
    local live = redis.call('HGET', key, row)
    if live and string.find(live, '^[co] ') then
      local noted = string.gsub(live, '^. (%S+ %S+ %S+ )%S+', 'o %1' .. account_name)
      redis.call('HSET', key, row, noted)
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
