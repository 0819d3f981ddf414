--- include: base record clocks tenants admission unconfirmed settling provider_ids
-- An operator has found out under which id the provider knows an unconfirmed job, or one whose doubt is being settled; or a
-- worker has, from the provider's list. The job goes on to its result. A request that is under way meanwhile can only give the same id, or one that is kept, too.
-- Keys: `accounts` (the set of all accounts).
-- Arguments: `id`, `provider_job_id`, `by` (the operator's name, '' where it is not known), `error` of an unconfirmed job;
--   `evidence` of a worker, '' for an operator, and its `token`: it has a lease, or the job is unconfirmed ('').
-- Reply: 1, or 0 where the job is not unconfirmed, or not the worker's, or another has that id; a round or {}; and the other job, '' for none.
local state = get(id, 'state')
if state == 'running' and get(id, 'attached') and get(id, 'pid') == provider_job_id then
  return { 1, {}, '' } -- only the answer was lost
end
if state ~= 'unconfirmed' and not (state == 'submitting' and in_doubt(id)) then return { 0, {}, '' } end
if evidence ~= '' then
  local holds = state == 'submitting' and get(id, 'token') == token
  if not (token == '' and state == 'unconfirmed' or token ~= '' and holds) then return { 0, {}, '' } end
end
local holder = holder_of(provider_job_id, redis.call('SMEMBERS', accounts))
if holder and holder ~= id then return { 0, {}, holder } end
off_clocks(id)
redis.call('ZREM', UNCONFIRMED, id)
-- The error is kept as `attached`: the job is unconfirmed again if the provider turns out not to know that id.
set(id, 'state', 'running', 'token', '', 'pid', provider_job_id, 'submitted', get(id, 'intended') or stamp(now),
  'attached', get(id, 'error') or error)
if evidence ~= '' then
  add_evidence(id, 'settled', evidence)
  set(id, 'listed', 1, 'note', evidence)
else
  clear(id, 'listed')
  set(id, 'note', 'its id at the provider was attached by ' .. (by ~= '' and by or 'an operator'))
end
count_settled(evidence ~= '' and 'listing' or 'attached')
settled_by(id, 'attached as ' .. provider_job_id, by)
forget_purchase(id, provider_job_id)
index_ids(id)
-- Submits under its key stay in doubt: should the id be none, a late refusal of one of them settles nothing.
clear(id, 'settling', 'settle_tries', 'error', 'finished', 'answered', 'crashes', 'hints', 'tries', 'asked', 'polls', 'handle', 'cost')
ask_to_stop_anew(id)
extend_deadline(id)
tenants.take_place(id)
redis.call('ZADD', DUE, now, id)
return { 1, ensure_round(now), '' }
