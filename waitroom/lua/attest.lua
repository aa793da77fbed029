-- attest: publish the Merkle root over the frozen leaves, once.
-- KEYS: line, journal
-- ARGV: run, root
-- RETURNS: {'done'} | {'stale'}
local line, journal = KEYS[1], KEYS[2]
local run, root = ARGV[1], ARGV[2]

local old = redis.call('HMGET', line, 'run', 'frozen', 'root', 'last_ms', 'epoch')
if old[1] ~= run or old[2] == '-1' or (old[3] ~= '' and old[3] ~= root) then
  return {'stale'}
end
if old[3] == root then
  return {'done'}
end
local now = math.max(now_ms, tonumber(old[4]))
redis.call('HSET', line, 'root', root, 'last_ms', now)
redis.call('HINCRBY', line, 'version', 1)
redis.call('XADD', journal, '*', 'kind', 'frozen', 'at_ms', now, 'run', run, 'epoch', old[5], 'frozen', old[2],
  'root', root)
return {'done'}
