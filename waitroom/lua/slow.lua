-- slow: put a waiting place into the lane suspect, or, with a way, ask it for a check and leave it where it is. Its number
-- stays. Who was called, or has climbed, or passed a check, keeps the lane and is not asked.
-- The hash `slowed` keeps since when and why, and of the asked the way before that; a claim reads it, so an older ticket is worth no more than the new one.
-- KEYS: line, journal, in_verified, in_standard, slowed
-- ARGV: run, seed, number, rank, before, reasons, way
-- RETURNS: {'slowed', since_ms} | {'asked', since_ms} | {'again', since_ms, reasons, way} | {'called'} | {'lifted'} | {'stale'}
local line, journal, in_verified, in_standard, slowed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local run, seed, number, rank = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local before, reasons, way = ARGV[5], ARGV[6], ARGV[7]

local old = redis.call('HMGET', line, 'run', 'issued', 'last_ms', 'count:suspect', 'epoch', 'seed',
  'serving:' .. before, 'count:verified')
if old[1] ~= run or (old[6] or '') ~= seed or number < 0 or number >= tonumber(old[2]) then
  return {'stale'}
end
if redis.call('GETBIT', in_verified, number) == 1 or redis.call('GETBIT', in_standard, number) == 1 then
  return {'lifted'}
end
local known = redis.call('HGET', slowed, number)
if known then
  local asked, since, why = string.match(known, '^([%l-]*) ?(%d+) (.*)$')
  return {'again', tonumber(since), why, asked}
end
if rank < tonumber(old[7] or 0) then
  return {'called'}
end
local since_ms = math.max(now_ms, tonumber(old[3]))
if way ~= '' then
  redis.call('HSET', slowed, number, string.format('%s %.0f %s', way, since_ms, reasons))
  redis.call('HSET', line, 'last_ms', since_ms)
  redis.call('XADD', journal, '*', 'kind', 'asked', 'at_ms', since_ms, 'run', run, 'epoch', old[5],
    'number', number, 'way', way, 'why', reasons)
  return {'asked', since_ms}
end
redis.call('HSET', slowed, number, string.format('%.0f %s', since_ms, reasons))
if before == 'verified' and tonumber(old[8] or 0) > 0 then
  redis.call('HINCRBY', line, 'count:verified', -1)
end
if tonumber(old[4] or 0) < tonumber(old[2]) then
  redis.call('HINCRBY', line, 'count:suspect', 1)
end
redis.call('HSET', line, 'last_ms', since_ms)
redis.call('XADD', journal, '*', 'kind', 'slowed', 'at_ms', since_ms, 'run', run, 'epoch', old[5],
  'number', number, 'before', before, 'why', reasons)
return {'slowed', since_ms}
