-- wipe: destroy the key of a book whose line is over, and delete its reminders, so many at a time.
-- KEYS: stem
-- ARGV: below, most
-- RETURNS: {'wiped'} | {'more'}
local stem = KEYS[1]
local below, most = tonumber(ARGV[1]), tonumber(ARGV[2])

local function drop(number)
  local one = stem .. 'one:' .. number
  local was = redis.call('HMGET', one, 'lane', 'tag')
  if not was[1] then
    return 0
  end
  redis.call('DEL', one)
  redis.call('SREM', stem .. 'by:' .. was[2], number)
  redis.call('SREM', stem .. 'unranked', number)
  redis.call('ZREM', stem .. 'until', number)
  redis.call('ZREM', stem .. 'trying', number)
  redis.call('ZREM', stem .. 'idle:' .. was[1], number)
  redis.call('ZREM', stem .. 'near:' .. was[1], number)
  return 1
end

local epoch = redis.call('HGET', stem .. 'head', 'epoch')
if not epoch or tonumber(epoch) >= below then
  return {'wiped'}
end
redis.call('HSET', stem .. 'head', 'half', '')
for _, number in ipairs(redis.call('ZRANGE', stem .. 'until', 0, most - 1)) do
  drop(number)
end
if redis.call('ZCARD', stem .. 'until') > 0 then
  return {'more'}
end
redis.call('DEL', stem .. 'head', stem .. 'stopped', stem .. 'unranked', stem .. 'trying')
return {'wiped'}
