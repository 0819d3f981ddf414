--- include: clocks
-- A process that leaves the sweep to another looks after the account: a change of sweeper is no silence.
-- Arguments: `lease_seconds`.
-- Reply: 1.
watch(lease_seconds)
return 1
