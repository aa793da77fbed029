-- forget: delete the reminder of a place.
-- KEYS: stem
-- ARGV: number
-- RETURNS: {'forgotten', count}
local stem = KEYS[1]
local number = ARGV[1]

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

return {'forgotten', drop(number)}
