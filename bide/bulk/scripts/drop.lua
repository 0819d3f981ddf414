--- include: record clocks followers callbacks
-- Rows that lie in the results need no record any more; one whose callback is still to be sent keeps its own until then.
-- `PREFIX` is an account's.
-- Arguments: `ids` of the jobs.
-- Reply: 1.
for _, id in ipairs(ids) do
  if FINAL[get(id, 'state')] and get(id, 'answered') == '1' then
    if redis.call('ZSCORE', CALLBACKS, id) or redis.call('ZSCORE', UNDELIVERED, id) then
      set(id, 'collected', 1)
    else
      off_clocks(id)
      delete_record(id)
    end
  end
end
return 1
