--- include: money
-- The book of a day was lost with the ledger: what a statement says of it is added to what is booked since, once.
-- Keys: `statements` (which statements this ledger has written, or taken up).
-- Arguments: `day`, `account_name`, `reaches`: when the statement was written, which is noted; and `rows`, each with its `row`, a `kind` of amount, and the `amount`.
-- Reply: 1, or 0 where that was done already.
if redis.call('HSETNX', statements, 'taken up ' .. day .. ' ' .. account_name, reaches) == 0 then return 0 end
for _, each in ipairs(rows) do money.add(day, each.row .. ':' .. each.kind, each.amount) end
return 1
