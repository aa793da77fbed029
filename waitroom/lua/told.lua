-- told: write down what came of a try: the next message, the same again later, or nothing more.
-- KEYS: stem
-- ARGV: number, lease, came, wait_ms, keep_ms
-- RETURNS: {'noted'} | {'gone'}
local stem = KEYS[1]
local number, lease, came, wait_ms, keep_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

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

local one = stem .. 'one:' .. number
local was = redis.call('HMGET', one, 'job', 'lease', 'lane', 'rank')
if not was[1] or was[1] == '' or was[2] ~= lease then
  return {'gone'}
end
if came == 'later' then
  redis.call('HSET', one, 'at_ms', now_ms + wait_ms, 'lease', '')
  redis.call('ZADD', stem .. 'trying', now_ms + wait_ms, number)
elseif came == 'told' and was[1] == 'near' then
  redis.call('HSET', one, 'is_near', 1, 'job', '', 'tries', 0, 'at_ms', 0, 'lease', '')
  redis.call('ZREM', stem .. 'trying', number)
  redis.call('ZADD', stem .. 'near:' .. was[3], was[4], number)
  redis.call('PEXPIRE', stem .. 'near:' .. was[3], keep_ms)
else
  drop(number)
end
return {'noted'}
