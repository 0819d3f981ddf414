--- include: base record clocks lanes breaker admission unconfirmed settling tenant_counts money budgets
-- A worker is about to buy: it writes the intent. From here on no process submits this job again by itself, unless a promise
-- of its provider allows it: then the same request is sent again under the same key. What is only looked for on the
-- provider's list (`listing`) has no key: so no release of bide sends it again, either.
-- Keys: `ledger`, what is known of the ledger as a whole.
-- Arguments: `id`, `token` of the worker's lease, `lease_seconds`, and what it buys with: `base_url` and `adapter`, '' each
--   where the caller does not say. The promise: `contract` (replay, reject, client_id or listing; '' for none), `free` (the operation
--   costs nothing), `key`, `digest` of the request, `live_seconds` (for how long the request may be sent again),
--   `sending_seconds` (for how long it may be under way), `signed_at` (as of when our own addresses in it are signed), `absent` (the provider surely has no job under the key),
--   `evidence` of that ('' for none), `submits_per_second`, `lane` of its request, '' for none, `ledger_id`: the id of the
--   ledger on which this worker buys, '' for any, `ledger_looked_at`: the earliest time that its last look may have. For the book: `price` of one purchase in millionths ('' where none is known),
--   its `currency` ('' for a job that stays out of the book), and `priced_by`: who says it. `budgets`: those that the purchase
--   must fit into, each with its `name`, `per` (day, month or ''), `amount` in millionths, and `over` (refuse or wait).
-- Reply: the number of this attempt; 0 where another has the job; -1 where the job waits again, since its account was paused
--   or its breaker opened while its inputs were fetched; -2 where its deadline has passed; -3 where it may have been
--   accepted under a key that is not this one, or is sent under it no more, or was canceled meanwhile; -4 where this is not the
--   ledger that the worker knows; -5 or -6 with the name of a budget that has no room for it: nothing is bought, and the job
--   is the worker's to end (-5), or waits (-6).
local WAITS, TOO_LATE, UNREPEATABLE, OTHER_LEDGER, OVER_BUDGET, WAITS_FOR_BUDGET = -1, -2, -3, -4, -5, -6
if ledger_id ~= '' then
  local found = redis.call('HMGET', ledger, 'id', 'looked_at', 'went_back_from')
  local went_back = found[3] or number(found[2]) < ledger_looked_at
  if found[1] ~= ledger_id or went_back then return OTHER_LEDGER end
end
local state, settling = get(id, 'state'), get(id, 'settling')
if get(id, 'token') ~= token then
  local waits = redis.call('ZSCORE', QUEUED, id) or (settling and get(id, 'token') == '')
  return waits and WAITS or 0
end
if state == 'submitting' and not settling then return number(get(id, 'submits')) end
if state ~= 'queued' and state ~= 'submitting' then return 0 end
if not get(id, 'booked') then note_lane(id, lane) end -- its purchases stand in one row of the book
if state == 'queued' and submits_blocked(id) then
  return_to_line(id)
  return WAITS
end
if settling and is_canceled(id) then -- not bought any more
  if absent then
    clear(id, 'doubted', 'doubted_last')
    money.none_accepted(id)
  end
  return UNREPEATABLE
end
if now >= number(get(id, 'deadline')) then return TOO_LATE end
local known_key = get(id, 'submit_key') == key
local again = in_doubt(id)
if again and not absent and not free then
  local same = known_key and get(id, 'submit_digest') == digest and (get(id, 'adapter') or '') == adapter
  if not same or now >= number(get(id, 'submit_until')) then
    spoil_key(id)
    return UNREPEATABLE
  end
end
if state == 'submitting' then
  local seconds = settle_blocked(id, submits_per_second)
  if seconds > 0 then
    settle_later(id, seconds)
    return WAITS
  end
end
if absent then
  count_settled('not_accepted')
  no_doubt(id)
  money.none_accepted(id)
  money.balance(id)
  redis.call('HINCRBY', job_key(id), 'absent', 1)
end
local same_purchase = again and known_key and not absent
local before = (get(id, 'booked') or '') ~= '' and get(id, 'currency')
if currency ~= '' and before and before ~= currency then price, currency = '', before end -- no amounts of two currencies
if currency ~= '' then set(id, 'price', price, 'currency', currency, 'priced_by', priced_by) end
local over = not same_purchase and budgets_in.without_room(budgets, number(price))
if over and get(id, 'tenant') then tenant_counts.add(get(id, 'tenant'), 'over_budget') end
if over and over.over == 'refuse' then return { OVER_BUDGET, over.name } end
if over then
  budgets_in.wait(id, over, state == 'queued', submits_per_second)
  return { WAITS_FOR_BUDGET, over.name }
end
if state == 'submitting' then admit(id, submits_per_second) else go_ahead(id) end
leased(id, token, lease_seconds)
set(id, 'state', 'submitting', 'intended', stamp(now))
clear(id, 'doubt', 'settling')
bought_with(id, '', base_url, adapter)
local attempt = redis.call('HINCRBY', job_key(id), 'submits', 1)
if currency ~= '' and not (same_purchase and money.repeat_last(id, attempt)) then
  money.begin(id, attempt, price, budgets_in.text(budgets))
end
if contract == '' and not free then
  clear(id, 'keyed', 'contract', 'free', 'submit_key')
  return attempt
end
if contract == 'listing' then
  clear(id, 'submit_key')
  set(id, 'submit_until', stamp(now + live_seconds))
elseif not same_purchase then
  set(id, 'submit_key', key, 'submit_digest', digest, 'submit_until', stamp(now + live_seconds), 'submit_signed', stamp(signed_at))
end
set(id, 'keyed', attempt, 'submit_ends', stamp(now + sending_seconds))
if contract ~= '' then set(id, 'contract', contract) else clear(id, 'contract') end
if free then set(id, 'free', 1) else clear(id, 'free') end
add_evidence(id, 'doubt', evidence)
return attempt
