-- climb: bring a place into a better lane; its number stays. Whoever climbed before gets the same lane again.
-- One bit for each number says which lanes it has reached.
-- KEYS: line, journal, in_verified, in_standard, slowed
-- ARGV: run, number, before, after, why
-- RETURNS: {'climbed', lane, since_ms} | {'stale'}
local line, journal, in_verified, in_standard, slowed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local run, number, before, after, why = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]

local old = redis.call('HMGET', line, 'run', 'issued', 'last_ms', 'count:suspect', 'epoch')
if old[1] ~= run or number < 0 or number >= tonumber(old[2]) then
  return {'stale'}
end
local since_ms = math.max(now_ms, tonumber(old[3]))
local left = before
if redis.call('GETBIT', in_verified, number) == 1 then
  return {'climbed', 'verified', since_ms}
end
if redis.call('GETBIT', in_standard, number) == 1 then
  if after == 'standard' then
    return {'climbed', 'standard', since_ms}
  end
  left = 'standard'
end
-- whoever was slowed leaves that lane, whatever the ticket says; whoever was asked is asked no more
local known = redis.call('HGET', slowed, number)
if known and string.match(known, '^%d') then
  left = 'suspect'
end
redis.call('HDEL', slowed, number)
if after == 'verified' then
  redis.call('SETBIT', in_verified, number, 1)
  redis.call('HINCRBY', line, 'count:verified', 1)
else
  redis.call('SETBIT', in_standard, number, 1)
end
if left == 'suspect' and tonumber(old[4] or 0) > 0 then
  redis.call('HINCRBY', line, 'count:suspect', -1)
end
redis.call('HSET', line, 'last_ms', since_ms)
redis.call('XADD', journal, '*', 'kind', 'climbed', 'at_ms', since_ms, 'run', run, 'epoch', old[5],
  'number', number, 'before', left, 'after', after, 'why', why)
return {'climbed', after, since_ms}
