-- clear: take an earlier run's line away, with all that belongs to it, before a lost line is put back in its place.
-- KEYS: line, calls, stale...
-- ARGV: run, epoch
-- RETURNS: {'done'} | {'stale'}
local line, calls = KEYS[1], KEYS[2]
local run, epoch = ARGV[1], tonumber(ARGV[2])

local old = redis.call('HMGET', line, 'run', 'epoch')
if not old[1] or old[1] == run or tonumber(old[2]) >= epoch then
  return {'stale'}
end
redis.call('DEL', line, calls)
for i = 3, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
return {'done'}
