-- stop: delete every reminder of an address, and take no more for it.
-- KEYS: stem
-- ARGV: epoch, tag, keep_ms
-- RETURNS: {'forgotten', count} | {'stale'}
local stem = KEYS[1]
local epoch, tag, keep_ms = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])

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

if tonumber(redis.call('HGET', stem .. 'head', 'epoch') or -1) ~= epoch then
  return {'stale'}
end
local count = 0
-- an address has a few reminders at most
for _, number in ipairs(redis.call('SMEMBERS', stem .. 'by:' .. tag)) do
  count = count + drop(number)
end
redis.call('SADD', stem .. 'stopped', tag)
redis.call('PEXPIRE', stem .. 'stopped', keep_ms)
return {'forgotten', count}
