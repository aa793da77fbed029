-- census: keep a round's count, once.
-- KEYS: line, counts
-- ARGV: run, round, rest, keep
-- RETURNS: {'done'} | {'late'} | {'stale'}
local line, counts = KEYS[1], KEYS[2]
local run, round, rest, keep = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])

local old = redis.call('HMGET', line, 'run', 'last_ms')
if old[1] ~= run then
  return {'stale'}
end
local last = redis.call('LINDEX', counts, -1)
if last and tonumber(string.match(last, '^%d+')) >= round then
  return {'late'}
end
local now = math.max(now_ms, tonumber(old[2]))
redis.call('RPUSH', counts, string.format('%.0f %.0f %s', round, now, rest))
redis.call('LTRIM', counts, -keep, -1)
redis.call('HSET', line, 'last_ms', now)
redis.call('HINCRBY', line, 'version', 1)
return {'done'}
