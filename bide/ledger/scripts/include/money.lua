--- include: base record
-- The book of an account: what its purchases cost, a hash for each day (UTC), in millionths of its currency. A row is
-- `CURRENCY|TENANT|OPERATION|LANE`. A purchase is reserved when its intent is written, spent when it is known to be accepted, and given
-- back when it was surely not accepted or not charged. All its entries stay on the day of its intent.
--
-- No script writes entries. What a record says is compared with what is booked for it, at the end of each script that changed
-- it, and the difference is booked: see `balance`. The record's `booked` has a line for each purchase that was begun and is not
-- surely refused: its attempts under one key that may have been accepted, when it was begun, its price ('?' where none is known), what is booked
-- (`KINDS`), the amount of that, how it goes into the book ('l' with its lane, '-' without), and its budgets as NAME@PERIOD.
local money = {}
do
  local BOOK_SECONDS = 400 * 24 * 3600
  local MOST_BOOKED = 5000 -- fields of one day's book; rows beyond have no lane
  local KINDS = {
    n = {}, -- nothing yet
    r = { reserved = true }, -- its submit is under way, or may have been accepted
    s = { spent = true, purchases = 1 }, -- accepted
    z = { purchases = 1, refunded = true }, -- accepted, and not charged
    u = { purchases = 1, unpriced = 1 }, -- accepted, and what it costs is not known
    a = { spent = true }, -- of a lost ledger: a statement had it as reserved, and counts it as spent (job/recover)
    d = { spent = true, purchases = 1 }, -- the job is over, and whether this submit was accepted is not known
  }
  local KNOWN = { s = true, z = true, u = true }
  local AMOUNTS = { 'reserved', 'spent', 'refunded', 'purchases', 'unpriced' }

  -- The date of a moment, in UTC.
  function money.date_of(seconds)
    local days = math.floor(seconds / 86400) + 719468
    local era = math.floor(days / 146097)
    local day = days - era * 146097
    local year = math.floor((day - math.floor(day / 1460) + math.floor(day / 36524) - math.floor(day / 146096)) / 365)
    day = day - (365 * year + math.floor(year / 4) - math.floor(year / 100))
    local month = math.floor((5 * day + 2) / 153)
    day = day - math.floor((153 * month + 2) / 5) + 1
    month = month < 10 and month + 3 or month - 9
    return string.format('%04.0f-%02.0f-%02.0f', year + era * 400 + (month <= 2 and 1 or 0), month, day)
  end

  local function book_key(date) return PREFIX .. 'book:' .. date end

  -- A bulk run's own budget is named `run:RUN`, and stands in the run's record: `budget`, `reserved` and `spent`.
  function money.run_of(budget) return string.match(budget, '^run:(.+)$') end

  function money.budget_key(name, period)
    local run = money.run_of(name)
    return run and 'bide:run:' .. run .. ':record' or 'bide:budget:' .. name .. ':' .. period
  end

  local function count_in_budget(name, period, field, more)
    local at = money.budget_key(name, period)
    if money.run_of(name) and redis.call('EXISTS', at) == 0 then return end -- the run is remembered no more
    redis.call('HINCRBY', at, field, string.format('%.0f', more))
    if period ~= 'all' then redis.call('EXPIRE', at, BOOK_SECONDS) end
  end

  -- A decimal number in millionths, rounded to the even one: `0.0250005` is 25000.
  local function millionths(text)
    local whole, decimals = string.match(text, '^(%d+)%.?(%d*)$')
    decimals = decimals .. '000000'
    local amount, rest = tonumber(whole) * 1000000 + tonumber(string.sub(decimals, 1, 6)), string.sub(decimals, 7)
    local half = string.match(rest, '^5(0*)$')
    local up = string.match(rest, '^[5-9]') and (not half or amount % 2 == 1)
    return up and amount + 1 or amount
  end

  local PURCHASE = '^(%S+) (%d+) (%S+) (%a) (%d+) (%S) (%S*)$'
  local function purchases_in(booked)
    local purchases = {}
    for line in string.gmatch(booked or '', '[^;]+') do
      local attempts, at, price, kind, amount, row, budgets = string.match(line, PURCHASE)
      purchases[#purchases + 1] = { attempts = attempts, at = tonumber(at), price = price, kind = kind,
        amount = tonumber(amount), row = row, budgets = budgets }
    end
    return purchases
  end
  local function text_of(purchases)
    local lines = {}
    for i, it in ipairs(purchases) do
      lines[i] = string.format('%s %.0f %s %s %.0f %s %s', it.attempts, it.at, it.price, it.kind, it.amount, it.row, it.budgets)
    end
    return table.concat(lines, ';')
  end

  local function row_of(currency, tenant, operation, lane)
    return string.format('%s|%s|%s|%s', currency, tenant or '', operation or '', lane or '')
  end

  local function price_text(price) return price and price ~= '' and price or '?' end

  local function price_of(purchase) return tonumber(purchase.price) or 0 end

  -- What stands in the book for a purchase: a number for each of `AMOUNTS`.
  local function entries_of(purchase)
    local entries = {}
    for name, value in pairs(KINDS[purchase.kind]) do entries[name] = value == true and purchase.amount or value end
    if entries.refunded then entries.refunded = price_of(purchase) end
    if purchase.kind == 'd' and purchase.price == '?' then entries.unpriced = 1 end
    return entries
  end

  function money.add(date, field, more)
    redis.call('HINCRBY', book_key(date), field, string.format('%.0f', more))
    redis.call('EXPIRE', book_key(date), BOOK_SECONDS)
  end

  local function book(purchase, row, before, after)
    for _, name in ipairs(AMOUNTS) do
      local more = (after[name] or 0) - (before[name] or 0)
      if more ~= 0 then
        money.add(money.date_of(purchase.at), row .. ':' .. name, more)
        for budget, period in string.gmatch(purchase.budgets, '([^@,]+)@([^,]+)') do
          count_in_budget(budget, period, name, more)
        end
      end
    end
  end

  -- The jobs whose book is to be balanced, and the attempts whose acceptance this script records, by job.
  local to_balance, accepted_attempts = {}, {}
  local plain_set, plain_clear = set, clear

  local function made_by(purchase, attempt)
    return string.find(',' .. purchase.attempts .. ',', ',' .. tostring(attempt) .. ',', 1, true)
  end

  -- A new purchase of a job is begun. `budgets` as the record has them.
  function money.begin(id, attempt, price, budgets)
    local booked, currency, operation, lane, tenant = unpack(redis.call('HMGET', job_key(id), 'booked', 'currency', 'op', 'lane', 'tenant'))
    local key, purchases = book_key(money.date_of(now)), purchases_in(booked or '')
    local fits = redis.call('HLEN', key) < MOST_BOOKED
      or redis.call('HEXISTS', key, row_of(currency, tenant, operation, lane) .. ':reserved') == 1
    purchases[#purchases + 1] = { attempts = string.format('%.0f', attempt), at = now, price = price_text(price), kind = 'n', amount = 0,
      row = fits and 'l' or '-', budgets = budgets }
    set(id, 'booked', text_of(purchases))
    to_balance[id] = true
  end

  -- An attempt repeats the last one under its key: it is the same purchase. False where that is not booked.
  function money.repeat_last(id, attempt)
    local purchases = purchases_in(get(id, 'booked'))
    local last = purchases[#purchases]
    if not last or KNOWN[last.kind] then return false end
    last.attempts = string.format('%s,%.0f', last.attempts, attempt)
    set(id, 'booked', text_of(purchases))
    return true
  end

  -- An attempt was surely not accepted: a purchase with no other attempt is none. `attempt` may be any number, or ''.
  function money.not_accepted(id, attempt)
    local booked = get(id, 'booked')
    if not booked then return end
    local purchases = purchases_in(booked)
    for _, it in ipairs(purchases) do
      if made_by(it, attempt) then
        it.attempts = string.gsub(',' .. it.attempts .. ',', ',' .. attempt .. ',', ',')
        it.attempts = string.match(it.attempts, '^,(.+),$') or 'none'
        plain_set(id, 'booked', text_of(purchases))
        to_balance[id] = true
      end
    end
  end

  -- No attempt of the last purchase was accepted: its provider surely has no job under the key.
  function money.none_accepted(id)
    local purchases = purchases_in(get(id, 'booked'))
    local last = purchases[#purchases]
    for attempt in string.gmatch(last and last.attempts or '', '%d+') do money.not_accepted(id, attempt) end
  end

  -- The record makes room for another of the same job, whose `booked` is given. A purchase that both have stays booked as it is here.
  -- One that may have been accepted here, as far as this record knows, is none. What statements had of the others, the book has
  -- already, and the budget of a run has not. Returns the other's `booked`.
  function money.take_over(id, booked)
    local mine, theirs = purchases_in(get(id, 'booked')), purchases_in(booked)
    local currency, tenant, operation, lane = unpack(redis.call('HMGET', job_key(id), 'currency', 'tenant', 'op', 'lane'))
    local both = {}
    for _, it in ipairs(mine) do
      local same
      for _, other in ipairs(theirs) do same = other.at == it.at and other or same end
      if same then
        same.kind, same.amount, same.row, both[same] = it.kind, it.amount, it.row, true
      elseif currency and not KNOWN[it.kind] then
        book(it, row_of(currency, tenant, operation, it.row == 'l' and lane), entries_of(it), { refunded = price_of(it) })
      end
    end
    for _, it in ipairs(theirs) do
      for budget, period in string.gmatch(both[it] and '' or it.budgets, '(run:[^@,]+)@([^,]+)') do
        for name, value in pairs(entries_of(it)) do count_in_budget(budget, period, name, value) end
      end
    end
    plain_clear(id, 'booked')
    return booked and text_of(theirs)
  end

  -- The attempt that gave the id which this script records.
  function money.accepted(id, attempt) accepted_attempts[id] = attempt end

  -- The purchase that an id of the provider belongs to, which no other has: that of the attempt which gave it, else the last one. A
  -- provider that gives more ids than it was sent submits may charge for each.
  local function take_purchase(id, purchases, price)
    local taken
    for _, it in ipairs(purchases) do
      if not KNOWN[it.kind] and (not taken or not made_by(taken, accepted_attempts[id])) then taken = it end
    end
    if taken then return taken end
    local like = purchases[#purchases] or { row = '-', budgets = '' }
    taken = { attempts = 'none', at = now, price = price_text(price), kind = 'n', amount = 0, row = like.row, budgets = like.budgets }
    table.insert(purchases, 1, taken)
    return taken
  end

  -- Has as many purchases known as the record has ids; returns the one that the job is polled as, nil for none.
  local function match_ids(id, purchases, known, is_known, price)
    for _, it in ipairs(purchases) do is_known[it] = KNOWN[it.kind] end
    local marked = 0
    for _ in pairs(is_known) do marked = marked + 1 end
    for _ = marked + 1, known do
      local taken = take_purchase(id, purchases, price)
      taken.kind = 's'
      is_known[taken] = true
    end
    for i = #purchases, 1, -1 do -- an id turned out not to be this job's
      if marked > known and is_known[purchases[i]] then is_known[purchases[i]], marked = nil, marked - 1 end
    end
    for i = #purchases, 1, -1 do
      if is_known[purchases[i]] then return purchases[i] end
    end
  end

  local function kind_and_amount(it, known, main, job)
    local cost, unit = string.match(main and job.cost or '', '^(%S+) (%S+)$')
    if not known then return FINAL[job.state] and 'd' or 'r', price_of(it) end
    if unit == job.currency then -- in another unit it can't be added up: the price stands
      local amount = millionths(cost)
      return amount == 0 and price_of(it) > 0 and 'z' or 's', amount
    end
    local free = main and (job.state == 'failed' or job.state == 'canceled') and string.find(job.error or '', '"charged":%s*"no"')
    if free then return 'z', 0 end
    if it.price == '?' then return 'u', 0 end
    return 's', price_of(it)
  end

  -- What became of a purchase, for the statement of its day: a line in JSON whenever that changes, the last one counts. The writer of
  -- statements takes the lines away; where there is none, the oldest go.
  local PURCHASES, MOST_LINES, LINES_SECONDS = PREFIX .. 'purchases', 50000, 30 * 24 * 3600
  local WORDS = { s = 'spent', z = 'refunded', u = 'unpriced', d = 'assumed', r = 'reserved', n = 'refunded' }
  local SETTLED = { s = true, z = true, u = true, d = true }
  local function note_purchase_line(id, it, kind, main, job)
    if not (SETTLED[kind] or SETTLED[it.was]) or it.was == kind and it.was_amount == it.amount then return end
    local _, unit = string.match(main and job.cost or '', '^(%S+) (%S+)$')
    local priced = it.price ~= '?' and job.priced_by or nil
    redis.call('ZADD', PURCHASES, redis.call('HINCRBY', ACCOUNT, 'purchase_lines', 1), cjson.encode({
      purchase = string.format('%s@%.0f', id, it.at), begun = string.format('%.0f', it.at), job = id, tenant = job.tenant,
      operation = job.op, lane = job.lane, provider_job_id = main and job.pid or nil, state = WORDS[kind],
      amount = string.format('%.0f', it.amount), currency = job.currency, source = unit == job.currency and 'provider' or priced,
    }))
    redis.call('ZREMRANGEBYRANK', PURCHASES, 0, -MOST_LINES - 1)
    redis.call('EXPIRE', PURCHASES, LINES_SECONDS)
  end

  -- Books the difference between what the record says of a job's purchases and what is booked for them. `key` of a record that a
  -- job left behind at this account.
  local FIELDS_OF_MONEY = { 'booked', 'currency', 'price', 'state', 'pid', 'other_pid', 'cost', 'error', 'charge_unknown', 'op', 'lane', 'tenant', 'priced_by' }
  function money.balance(id, key)
    key = key or job_key(id)
    local values, job = redis.call('HMGET', key, unpack(FIELDS_OF_MONEY)), {}
    for i, name in ipairs(FIELDS_OF_MONEY) do job[name] = values[i] or nil end
    if not job.currency or not job.booked then return end
    local purchases, is_known, known = purchases_in(job.booked), {}, job.pid and 1 or 0
    for _ in string.gmatch(job.other_pid or '', '%S+') do known = known + 1 end
    for _, it in ipairs(purchases) do it.before, it.was, it.was_amount = entries_of(it), it.kind, it.amount end
    local main, kept = match_ids(id, purchases, known, is_known, job.price), {}
    for _, it in ipairs(purchases) do
      local row = row_of(job.currency, job.tenant, job.op, it.row == 'l' and job.lane)
      if it.attempts == 'none' and not is_known[it] then
        book(it, row, it.before or {}, { refunded = price_of(it) })
        it.amount = 0
        note_purchase_line(id, it, 'n', false, job)
      else
        it.kind, it.amount = kind_and_amount(it, is_known[it], it == main, job)
        book(it, row, it.before or {}, entries_of(it))
        note_purchase_line(id, it, it.kind, it == main, job)
        kept[#kept + 1] = it
      end
    end
    local booked, unknown = text_of(kept), false
    for _, it in ipairs(kept) do unknown = unknown or it.kind == 'd' end
    if unknown then redis.call('HSET', key, 'charge_unknown', 1) end -- a late answer needs the record as it is
    if job.charge_unknown and not unknown then redis.call('HDEL', key, 'charge_unknown') end
    if booked ~= job.booked then redis.call('HSET', key, 'booked', booked) end
  end

  -- What a script changes of a record is noticed here, so that none can forget the book. The text of a script that includes this
  -- file calls `balance_changed` when it is through (`bide.ledger.script`).
  local OF_MONEY = { state = true, pid = true, other_pid = true, cost = true, error = true }
  set = function(id, ...)
    local written = { ... }
    for i = 1, #written, 2 do
      if OF_MONEY[written[i]] then to_balance[id] = true end
    end
    return plain_set(id, ...)
  end
  clear = function(id, ...)
    for _, name in ipairs({ ... }) do
      if OF_MONEY[name] then to_balance[id] = true end
    end
    return plain_clear(id, ...)
  end
  function money.balance_changed()
    for id in pairs(to_balance) do money.balance(id) end
  end
end
