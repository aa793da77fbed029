-- draw: set the seed of the permutation, once, over the root that was published before.
-- `proof` is what anyone needs to recompute the seed (JSON); it goes to the journal.
-- KEYS: line, journal
-- ARGV: run, root, seed, proof
-- RETURNS: {'done'} | {'stale'}
local line, journal = KEYS[1], KEYS[2]
local run, root, seed, proof = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local old = redis.call('HMGET', line, 'run', 'root', 'seed', 'last_ms', 'epoch', 'frozen')
if old[1] ~= run or old[2] == '' or old[2] ~= root or (old[3] ~= '' and old[3] ~= seed) then
  return {'stale'}
end
if old[3] == seed then
  return {'done'}
end
local now = math.max(now_ms, tonumber(old[4]))
redis.call('HSET', line, 'seed', seed, 'proof', proof, 'last_ms', now)
redis.call('HINCRBY', line, 'version', 1)
redis.call('XADD', journal, '*', 'kind', 'drawn', 'at_ms', now, 'run', run, 'epoch', old[5], 'frozen', old[6],
  'root', root, 'seed', seed, 'proof', proof)
return {'done'}
