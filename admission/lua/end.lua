-- end: end a session, also one that the store does not know, since its token may still be about. Of one that an
-- eviction has ended nothing comes back with the place any more.
-- KEYS: line, journal, door, sessions, ended, next, recall, next_seen, next_who, evicted, withheld
-- ARGV: sid, why, hold_ms, free_ms
-- RETURNS: {'ended', until_ms} | {'already', until_ms}
local line, journal, door, sessions, ended = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local next, recall, next_seen, next_who, evicted, withheld = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local sid, why, hold_ms, free_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local now = math.max(now_ms, tonumber(redis.call('HGET', door, 'last_ms') or 0))
local function ended_until(until_ms)
  redis.call('HSET', door, 'last_ms', now)
  local known = redis.call('HMGET', line, 'run', 'epoch')
  redis.call('XADD', journal, '*', 'kind', 'ended', 'at_ms', now, 'run', known[1] or '', 'epoch', known[2] or 0,
    'sid', sid, 'why', why, 'until_ms', until_ms)
  return {'ended', until_ms}
end

local before_ms = tonumber(redis.call('ZSCORE', ended, sid) or 0)
if before_ms > now then
  local number = redis.call('HGET', withheld, sid)
  local kept = number and redis.call('HGET', evicted, number)
  if not kept or string.match(kept, ' (.+)$') ~= sid then
    return {'already', before_ms}
  end
  redis.call('HDEL', withheld, sid)
  redis.call('HSET', evicted, number, '0')
  return ended_until(before_ms)
end
redis.call('ZREM', next, sid)
redis.call('ZREM', recall, sid)
redis.call('ZREM', next_seen, sid)
redis.call('HDEL', next_who, sid)
local until_ms = tonumber(redis.call('ZSCORE', sessions, sid) or 0)
if until_ms > now then
  redis.call('ZADD', sessions, math.min(until_ms, now + free_ms), sid)
else
  until_ms = now + hold_ms
end
redis.call('ZADD', ended, until_ms, sid)
redis.call('HINCRBY', door, 'ended_version', 1)
return ended_until(until_ms)
