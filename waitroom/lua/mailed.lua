-- mailed: keep a number that goes to an address, if that was not written to too often.
-- KEYS: pending, bucket
-- ARGV: run, tag, digest, keep_ms, interval_us, burst, slack_ms
-- RETURNS: {'mailed', until_ms} | {'slow', wait_ms}
local pending, bucket = KEYS[1], KEYS[2]
local run, tag, digest, keep_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local interval_us, burst, slack_ms = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

-- the law of kernel.gcra, in whole microseconds; the key outlives its debt a little
local now_us = now_ms * 1000
local tat_us = math.min(tonumber(redis.call('GET', bucket) or 0), now_us + interval_us * burst)
local at_us = math.max(now_us, tat_us - interval_us * (burst - 1))
if at_us > now_us then
  return {'slow', math.ceil((at_us - now_us) / 1000)}
end
tat_us = math.max(now_us, tat_us) + interval_us
redis.call('SET', bucket, string.format('%.0f', tat_us), 'PX', math.ceil((tat_us - now_us) / 1000) + slack_ms)
local until_ms = now_ms + keep_ms
redis.call('HSET', pending, 'run', run, 'tag', tag, 'digest', digest, 'until_ms', string.format('%.0f', until_ms), 'wrong', 0)
-- the time to live only clears away what the rule has long refused
redis.call('PEXPIRE', pending, keep_ms + slack_ms)
return {'mailed', until_ms}
