--- include: constants record clocks unconfirmed ending
-- An operator knows that a job in line may have been bought: its ledger went back, as by an old backup, and lacks the submit.
-- The job is unconfirmed: it is not bought by itself any more, and its caller learns of that.
-- Arguments: `id`, `error` of the unconfirmed job, `hint_seconds`, `by` (the operator's name, '' where it is not known).
-- Reply: the state in which the job was ('' for no job, 'version' for a record of another version), then its hint, where
--   its caller is to get an answer.
local state = get(id, 'state')
if not state then return { '' } end
if foreign(get(id, 'v')) then return { 'version' } end
if state ~= 'queued' then return { state } end
conclude(id, 'unconfirmed', 'error', error)
set(id, 'token', '')
settled_by(id, 'put on the list', by)
hinted(id, STORE_QUEUE, hint_seconds)
return { state, unpack(hint(id)) }
