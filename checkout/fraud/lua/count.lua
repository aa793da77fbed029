-- count: note what was seen in each window, and say how much each holds then; an empty member only looks.
-- KEYS: windows...
-- ARGV: set_back_ms, row...
-- RETURNS: {'counted', n, ...}
local set_back_ms = tonumber(ARGV[1])

local answer = {'counted'}
for place, window in ipairs(KEYS) do
  local row = place * 3 - 1
  local most, window_ms, member = tonumber(ARGV[row]), tonumber(ARGV[row + 1]), ARGV[row + 2]
  redis.call('ZREMRANGEBYSCORE', window, '-inf', now_ms - window_ms)
  redis.call('ZREMRANGEBYSCORE', window, string.format('(%.0f', now_ms + set_back_ms), '+inf')
  if member ~= '' then
    redis.call('ZADD', window, 'GT', now_ms, member)
    redis.call('ZREMRANGEBYRANK', window, 0, -(most + 2))
    redis.call('PEXPIRE', window, window_ms + set_back_ms)
  end
  answer[place + 1] = redis.call('ZCARD', window)
end
return answer
