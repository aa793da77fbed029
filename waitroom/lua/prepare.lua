-- prepare: begin the book of a line's reminders, once.
-- KEYS: stem
-- ARGV: epoch, run, half, keep_ms
-- RETURNS: {'prepared', half} | {'old'} | {'stale'}
local stem = KEYS[1]
local epoch, run, half, keep_ms = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])

local head = redis.call('HMGET', stem .. 'head', 'epoch', 'run', 'half')
if not head[1] then
  redis.call('HSET', stem .. 'head', 'epoch', epoch, 'run', run, 'half', half)
  redis.call('PEXPIRE', stem .. 'head', keep_ms)
  return {'prepared', half}
end
if tonumber(head[1]) < epoch then
  return {'old'}
end
if tonumber(head[1]) > epoch or head[2] ~= run or head[3] == '' then
  return {'stale'}
end
return {'prepared', head[3]}
