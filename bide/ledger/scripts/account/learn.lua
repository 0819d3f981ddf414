-- The learner replaces the duration models of an account, where each still is what the new one was made of. They live as
-- long as the account's own record, one field for each operation.
-- Arguments: `news`, each with `operation`, `before` (the model that the new one was made of) and `after`.
-- Reply: the model of each operation that holds now.
local DURATIONS, models = PREFIX .. 'durations', {}
for _, new in ipairs(news) do
  local model = redis.call('HGET', DURATIONS, new.operation) or ''
  if model == new.before then
    model = new.after
    redis.call('HSET', DURATIONS, new.operation, model)
  end
  models[#models + 1] = model
end
return models
