-- leave: give a place up; the number is never admitted again, and its session, if any, ends.
-- KEYS: line, leaves, journal, door, claimed, sessions, ended, next, recall, next_seen, next_who, evicted, withheld
-- ARGV: run, epoch, number, leaf, leaf_offset, void, sid, free_ms
-- RETURNS: {'left'} | {'leaf-mismatch'} | {'run-over'} | {'stale'}
local line, leaves, journal, door, claimed, sessions = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local ended, next, recall, next_seen, next_who = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local evicted, withheld = KEYS[12], KEYS[13]
local run, epoch, number, leaf, leaf_offset, void = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local sid, free_ms = ARGV[7], tonumber(ARGV[8])
local CHUNK, LEAF = 65536, 16
local EMPTY = string.rep('\0', LEAF)

local known = redis.call('HMGET', line, 'run', 'epoch')
local now = math.max(now_ms, tonumber(redis.call('HGET', door, 'last_ms') or 0))
if not known[1] then
  return {'stale'}
end
if known[1] ~= run then
  return {'run-over'}
end
local stored = redis.call('GETRANGE', leaves, leaf_offset, leaf_offset + LEAF - 1)
if stored == '' then
  stored = EMPTY
end
if stored ~= leaf then
  if stored ~= EMPTY or void ~= '1' or epoch >= tonumber(known[2]) then
    return {'leaf-mismatch'}
  end
  if redis.call('STRLEN', leaves) == 0 then
    redis.call('SETRANGE', leaves, CHUNK * LEAF - 1, '\0')
  end
  redis.call('SETRANGE', leaves, leaf_offset, leaf)
end

redis.call('ZREM', next, sid)
redis.call('ZREM', recall, sid)
redis.call('ZREM', next_seen, sid)
redis.call('HDEL', next_who, sid)
redis.call('HSET', door, 'last_ms', now)
local is_new = redis.call('SETBIT', claimed, number % CHUNK, 1) == 0
if is_new then
  redis.call('HINCRBY', door, 'left', 1)
end
local held_ms = tonumber(redis.call('ZSCORE', sessions, sid) or 0)
local ended_ms = tonumber(redis.call('ZSCORE', ended, sid) or 0)
local is_live = held_ms > now and ended_ms <= now
if is_live then
  redis.call('ZADD', sessions, math.min(held_ms, now + free_ms), sid)
  redis.call('ZADD', ended, held_ms, sid)
  redis.call('HINCRBY', door, 'ended_version', 1)
end
-- what an eviction has taken does not come back to who has left
local kept = ended_ms > now and redis.call('HGET', evicted, number)
local is_kept = kept and string.match(kept, ' (.+)$') == sid
if is_kept then
  redis.call('HDEL', withheld, sid)
  redis.call('HSET', evicted, number, '0')
  held_ms = ended_ms
end
if is_new or is_live or is_kept then
  redis.call('XADD', journal, '*', 'kind', 'left', 'at_ms', now, 'run', run, 'epoch', known[2], 'number', number,
    'sid', sid, 'until_ms', (is_live or is_kept) and held_ms or now)
end
return {'left'}
