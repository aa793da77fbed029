-- remind: put a reminder into the book, in the place of the one that this place had.
-- KEYS: stem
-- ARGV: epoch, number, lane, rank, sealed, tag, until_ms, most, interval_us, burst, keep_ms
-- RETURNS: {'kept'} | {'stale'} | {'stopped'} | {'crowded'} | {'slow', wait_ms}
local stem = KEYS[1]
local epoch, number, lane, rank, sealed, tag = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local until_ms, most, interval_us, burst = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local keep_ms = tonumber(ARGV[11])
local SLACK_MS = 60000

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

local head = redis.call('HMGET', stem .. 'head', 'epoch', 'half')
if tonumber(head[1] or -1) ~= epoch or head[2] == '' then
  return {'stale'}
end
if redis.call('SISMEMBER', stem .. 'stopped', tag) == 1 then
  return {'stopped'}
end
local by = stem .. 'by:' .. tag
if redis.call('SCARD', by) - redis.call('SISMEMBER', by, number) >= most then
  return {'crowded'}
end
-- the law of kernel.gcra, in whole microseconds; the key outlives its debt a little
local asked = stem .. 'asked:' .. epoch .. ':' .. tag
local now_us = now_ms * 1000
local tat_us = math.min(tonumber(redis.call('GET', asked) or 0), now_us + interval_us * burst)
local at_us = math.max(now_us, tat_us - interval_us * (burst - 1))
if at_us > now_us then
  return {'slow', math.ceil((at_us - now_us) / 1000)}
end
tat_us = math.max(now_us, tat_us) + interval_us
redis.call('SET', asked, string.format('%.0f', tat_us), 'PX', math.ceil((tat_us - now_us) / 1000) + SLACK_MS)

drop(number)
local one = stem .. 'one:' .. number
redis.call('HSET', one, 'lane', lane, 'rank', rank, 'sealed', sealed, 'tag', tag, 'until_ms', until_ms,
  'is_near', 0, 'job', '', 'tries', 0, 'at_ms', 0, 'lease', '')
redis.call('SADD', by, number)
redis.call('ZADD', stem .. 'until', until_ms, number)
if rank < 0 then
  redis.call('SADD', stem .. 'unranked', number)
else
  redis.call('ZADD', stem .. 'idle:' .. lane, rank, number)
end
-- a time to live only clears away what the rule has long refused
for _, name in ipairs({'head', 'until', 'unranked', 'stopped', 'idle:' .. lane, 'one:' .. number, 'by:' .. tag}) do
  redis.call('PEXPIRE', stem .. name, keep_ms)
end
return {'kept'}
