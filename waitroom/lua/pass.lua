-- pass: a place that was asked for a check has passed it; it stays where it is, and is never asked or slowed again.
-- KEYS: line, journal, in_verified, in_standard, slowed
-- ARGV: run, number, why
-- RETURNS: {'passed', since_ms} | {'free'} | {'stale'}
local line, journal, in_standard, slowed = KEYS[1], KEYS[2], KEYS[4], KEYS[5]
local run, number, why = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local old = redis.call('HMGET', line, 'run', 'issued', 'last_ms', 'epoch')
if old[1] ~= run or number < 0 or number >= tonumber(old[2]) then
  return {'stale'}
end
local known = redis.call('HGET', slowed, number)
if not known or not string.match(known, '^%l') then
  return {'free'}
end
local since_ms = math.max(now_ms, tonumber(old[3]))
redis.call('HDEL', slowed, number)
redis.call('SETBIT', in_standard, number, 1)
redis.call('HSET', line, 'last_ms', since_ms)
redis.call('XADD', journal, '*', 'kind', 'passed', 'at_ms', since_ms, 'run', run, 'epoch', old[4],
  'number', number, 'why', why)
return {'passed', since_ms}
