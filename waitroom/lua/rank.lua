-- rank: give ranks to reminders that had none, because the draw is done.
-- KEYS: stem
-- ARGV: epoch, keep_ms, pairs...
-- RETURNS: {'ranked', count} | {'stale'}
local stem = KEYS[1]
local epoch, keep_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

if tonumber(redis.call('HGET', stem .. 'head', 'epoch') or -1) ~= epoch then
  return {'stale'}
end
local count = 0
for at = 3, #ARGV, 2 do
  local number, given = ARGV[at], tonumber(ARGV[at + 1])
  if redis.call('SREM', stem .. 'unranked', number) == 1 then
    local one = stem .. 'one:' .. number
    local idle = stem .. 'idle:' .. redis.call('HGET', one, 'lane')
    redis.call('HSET', one, 'rank', given)
    redis.call('ZADD', idle, given, number)
    redis.call('PEXPIRE', idle, keep_ms)
    count = count + 1
  end
end
return {'ranked', count}
