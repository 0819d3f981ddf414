-- What the provider said about some claimed jobs, recorded together.
-- ARGV: now, hint seconds, max in flight, submits per second, then for each job: id, kind, seconds, field, value, note,
--       seen, and the time since which the job is unknown. Kinds: running, trouble, ended, failed.
local hints = {}
for i = 5, #ARGV, 8 do
  local id, kind, seconds, field, value = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3], ARGV[i + 4]
  if get(id, 'state') == 'running' then
    redis.call('HINCRBY', job_key(id), 'polls', 1)
    set(id, 'note', ARGV[i + 5], 'polled', stamp(now))
    clear(id, 'unknown_since')
    if ARGV[i + 7] ~= '' then set(id, 'unknown_since', ARGV[i + 7]) end
    if ARGV[i + 6] == '1' then set(id, 'seen', 1) end
    if kind == 'running' or kind == 'trouble' then
      if field ~= '' then set(id, field, value) end
      redis.call('ZADD', DUE, math.min(now + seconds, math.max(now, number(get(id, 'deadline')))), id)
    else
      if kind == 'ended' then
        release(id)
        set(id, 'state', 'storing', 'ended', stamp(now))
        clear(id, 'tries', 'hints')
        if value ~= '' then set(id, 'outputs', value) end
      else
        conclude(id, 'failed', 'error', value)
      end
      hinted(id, 'bide.store', tonumber(ARGV[2]))
      hints[#hints + 1] = hint(id)
    end
  end
end
local look = next_look(tonumber(ARGV[3]), tonumber(ARGV[4]))
return { hints, look and ensure_round(look) or {} }
