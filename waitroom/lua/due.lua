-- due: take messages: who is called, what is to be tried again, who is near; and drop what is too old.
-- KEYS: stem
-- ARGV: epoch, most, lease, lease_ms, keep_ms, called_verified, called_standard, called_suspect,
-- near_verified, near_standard, near_suspect
-- RETURNS: {'taken', kept, unranked, number, lane, job, tries, sealed, tag, ...} | {'stale'}
local stem = KEYS[1]
local epoch, most, lease, lease_ms, keep_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local LANES = {'verified', 'standard', 'suspect'}
local called, near = {}, {}
for at, lane in ipairs(LANES) do
  called[lane], near[lane] = tonumber(ARGV[5 + at]), tonumber(ARGV[8 + at])
end

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
-- who is too old
for _, number in ipairs(redis.call('ZRANGEBYSCORE', stem .. 'until', '-inf', now_ms, 'LIMIT', 0, most)) do
  drop(number)
end

local left, answer = most, {'taken', 0, 0}
local function take(number, job, tries)
  local one, at_ms = stem .. 'one:' .. number, now_ms + lease_ms
  local was = redis.call('HMGET', one, 'lane', 'sealed', 'tag')
  redis.call('HSET', one, 'job', job, 'tries', tries + 1, 'at_ms', at_ms, 'lease', lease)
  redis.call('ZREM', stem .. 'idle:' .. was[1], number)
  redis.call('ZREM', stem .. 'near:' .. was[1], number)
  redis.call('ZADD', stem .. 'trying', at_ms, number)
  left = left - 1
  for _, part in ipairs({number, was[1], job, tries + 1, was[2], was[3]}) do
    answer[#answer + 1] = part
  end
end
local function below(name, least, bound)
  if left == 0 or bound <= least then
    return {}
  end
  return redis.call('ZRANGEBYSCORE', stem .. name, least, '(' .. bound, 'LIMIT', 0, left)
end

for _, lane in ipairs(LANES) do
  for _, name in ipairs({'near:', 'idle:'}) do
    for _, number in ipairs(below(name .. lane, 0, called[lane])) do
      take(number, 'turn', 0)
    end
  end
end
if left > 0 then
  for _, number in ipairs(redis.call('ZRANGEBYSCORE', stem .. 'trying', '-inf', now_ms, 'LIMIT', 0, left)) do
    local was = redis.call('HMGET', stem .. 'one:' .. number, 'lane', 'rank', 'job', 'tries')
    if was[3] == 'near' and tonumber(was[2]) < called[was[1]] then
      take(number, 'turn', 0)
    else
      take(number, was[3], tonumber(was[4]))
    end
  end
end
for _, lane in ipairs(LANES) do
  for _, number in ipairs(below('idle:' .. lane, called[lane], near[lane])) do
    take(number, 'near', 0)
  end
end
if #answer > 3 then
  redis.call('PEXPIRE', stem .. 'trying', keep_ms)
end
answer[2] = redis.call('ZCARD', stem .. 'until')
answer[3] = redis.call('SCARD', stem .. 'unranked')
return answer
