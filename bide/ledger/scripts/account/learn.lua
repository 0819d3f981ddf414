--- include: lanes
-- The learner replaces the duration models of an account, where each still is what the new one was made of. They live as
-- long as the account's own record, one field for each operation and for each lane of the account.
-- Arguments: `news`, each with `operation` (or the name of a lane), `before` (the model that the new one was made
--   of) and `after`.
-- Reply: the model of each operation or lane that holds now. The model of a lane that has made room for another is not kept.
local DURATIONS, models = PREFIX .. 'durations', {}
for _, new in ipairs(news) do
  local of_lane = string.find(new.operation, ' ', 1, true)
  local model = redis.call('HGET', DURATIONS, new.operation) or ''
  if of_lane and not has_lane(new.operation) then
    model = new.after
  elseif model == new.before then
    model = new.after
    redis.call('HSET', DURATIONS, new.operation, model)
  end
  models[#models + 1] = model
end
return models
