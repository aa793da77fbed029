-- enlist: give an identity its one place: the next number, or the one that it has.
-- `leaves` is the prefix of the chunks' names: which chunk a number falls into is known only here.
-- KEYS: line, journal, leaves, tags, in_verified, in_standard
-- ARGV: run, tag, leaf, lane, max_waiting
-- RETURNS: {'enlisted', number, epoch, lane, since_ms} | {'full'} | {'closed', phase} | {'stale', run}
local line, journal, leaves, tags, in_verified, in_standard = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local run, tag, leaf, lane, max_waiting = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local CHUNK, LEAF = 65536, 16

local old = redis.call('HMGET', line, 'run', 'phase', 'issued', 'epoch', 'serving:standard', 'void', 'last_ms', 'frozen')
if old[1] ~= run then
  return {'stale', old[1] or ''}
end
local known = redis.call('HGET', tags, tag)
if known then
  local number, epoch, was, since_ms = string.match(known, '^(%d+) (%d+) (%a+) (%d+)$')
  number = tonumber(number)
  if redis.call('GETBIT', in_verified, number) == 1 then
    was = 'verified'
  elseif was == 'suspect' and redis.call('GETBIT', in_standard, number) == 1 then
    was = 'standard'
  end
  return {'enlisted', number, tonumber(epoch), was, tonumber(since_ms)}
end
if old[2] ~= 'gathering' and old[2] ~= 'serving' then
  return {'closed', old[2]}
end
local issued, called = tonumber(old[3]), tonumber(old[5])
if max_waiting >= 0 then
  local waiting, frozen = issued - called, tonumber(old[8])
  for _, range in ipairs(cjson.decode(old[6])) do
    waiting = waiting - math.max(0, math.min(issued, range[2]) - math.max(called, range[1], frozen))
  end
  if waiting >= max_waiting then
    return {'full'}
  end
end
local name = leaves .. ':' .. string.format('%d', math.floor(issued / CHUNK))
if redis.call('STRLEN', name) == 0 then
  redis.call('SETRANGE', name, CHUNK * LEAF - 1, '\0')
end
redis.call('SETRANGE', name, issued % CHUNK * LEAF, leaf)
local since_ms = math.max(now_ms, tonumber(old[7]))
redis.call('HSET', line, 'issued', issued + 1, 'last_ms', since_ms)
if lane ~= 'standard' then
  redis.call('HINCRBY', line, 'count:' .. lane, 1)
end
redis.call('HSET', tags, tag, string.format('%d', issued) .. ' ' .. old[4] .. ' ' .. lane .. ' ' .. string.format('%.0f', since_ms))
redis.call('XADD', journal, '*', 'kind', 'enlisted', 'at_ms', string.format('%.0f', since_ms), 'run', run,
  'epoch', old[4], 'number', issued, 'lane', lane, 'tag', tag)
return {'enlisted', issued, tonumber(old[4]), lane, since_ms}
