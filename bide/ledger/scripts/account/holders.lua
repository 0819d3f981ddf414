--- include: provider_ids
-- The jobs are looked up that have some provider ids, in all accounts of the provider.
-- Keys: `accounts` (the set of all accounts).
-- Arguments: `ids` of the provider.
-- Reply: for each the job that has it, '' for none.
local names, holders = redis.call('SMEMBERS', accounts), {}
for _, each in ipairs(ids) do holders[#holders + 1] = holder_of(each, names) or '' end
return holders
