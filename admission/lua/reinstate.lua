-- reinstate: give an evicted number its place back, and what is left of the session that the eviction ended.
-- KEYS: line, journal, door, sessions, ended, evicted, withheld
-- ARGV: run, number, who, why
-- RETURNS: {'reinstated', until_ms} | {'not-evicted'} | {'unknown'} (until_ms 0: no session came back)
local line, journal, door, sessions, ended, evicted = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local withheld = KEYS[7]
local run, number, who, why = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local known = redis.call('HMGET', line, 'run', 'epoch', 'issued')
local now = math.max(now_ms, tonumber(redis.call('HGET', door, 'last_ms') or 0))
if known[1] ~= run or tonumber(number) >= tonumber(known[3] or 0) then
  return {'unknown'}
end
local kept = redis.call('HGET', evicted, number)
if not kept then
  return {'not-evicted'}
end
redis.call('HDEL', evicted, number)
redis.call('HSET', door, 'last_ms', now)
local held, sid = string.match(kept, '^(%d+) (.+)$')
local until_ms = tonumber(held or 0)
if sid then
  redis.call('HDEL', withheld, sid)
end
if until_ms > now then
  redis.call('ZREM', ended, sid)
  redis.call('ZADD', sessions, until_ms, sid)
  redis.call('HINCRBY', door, 'ended_version', 1)
else
  until_ms, sid = 0, ''
end
redis.call('XADD', journal, '*', 'kind', 'reinstated', 'at_ms', now, 'run', run, 'epoch', known[2], 'number', number,
  'sid', sid, 'until_ms', until_ms, 'who', who, 'why', why)
return {'reinstated', until_ms}
