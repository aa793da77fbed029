-- freeze: close the draw over all numbers given so far; a repeat tells the same count.
-- KEYS: line, journal
-- ARGV: run, who
-- RETURNS: {'frozen', count} | {'stale'}
local line, journal = KEYS[1], KEYS[2]
local run, who = ARGV[1], ARGV[2]

local old = redis.call('HMGET', line, 'run', 'phase', 'frozen', 'issued', 'last_ms', 'epoch', 'void')
if old[1] ~= run or (old[2] ~= 'gathering' and old[3] == '-1') then
  return {'stale'}
end
if old[3] ~= '-1' then
  return {'frozen', tonumber(old[3])}
end
local now = math.max(now_ms, tonumber(old[5]))
redis.call('HSET', line, 'frozen', old[4], 'last_ms', now)
redis.call('HINCRBY', line, 'version', 1)
redis.call('XADD', journal, '*', 'kind', 'frozen', 'at_ms', now, 'run', run, 'epoch', old[6], 'frozen', old[4],
  'void', old[7], 'who', who)
return {'frozen', tonumber(old[4])}
