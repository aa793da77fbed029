-- turn: change a room's phase, once.
-- KEYS: line, journal
-- ARGV: run, before, after, who
-- RETURNS: {'done', version} | {'stale'}
local line, journal = KEYS[1], KEYS[2]
local run, before, after, who = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local old = redis.call('HMGET', line, 'run', 'phase', 'last_ms', 'epoch')
if old[1] ~= run or old[2] ~= before then
  return {'stale'}
end
local now = math.max(now_ms, tonumber(old[3]))
redis.call('HSET', line, 'phase', after, 'phase_ms', now, 'last_ms', now)
local version = redis.call('HINCRBY', line, 'version', 1)
redis.call('XADD', journal, '*', 'kind', 'phase', 'at_ms', now, 'run', run, 'epoch', old[4], 'before', before,
  'phase', after, 'who', who)
return {'done', version}
