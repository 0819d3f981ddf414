--- include: admission
-- A worker has the head of the line let in, as far as there are places.
-- Arguments: `max_in_flight`, `submits_per_second`, `hint_seconds`, `most` (how many at most).
-- Reply: hints, and a round or {}.
local hints = {}
let_in(hints, max_in_flight, submits_per_second, hint_seconds, most)
return { hints, next_round(max_in_flight, submits_per_second) }
