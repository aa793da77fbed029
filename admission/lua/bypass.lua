-- bypass: let the holder of a bypass token in beside the line: without a number and without the rate, for a place.
-- KEYS: line, journal, door, sessions, stays, ended
-- ARGV: sid, token, hold_ms
-- RETURNS: {'entered', since_ms, until_ms, run} | {'again', since_ms, until_ms, run} | {'over'}
local line, journal, door, sessions, stays, ended = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local sid, token, hold_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

local known = redis.call('HMGET', line, 'run', 'epoch')
local now = math.max(now_ms, tonumber(redis.call('HGET', door, 'last_ms') or 0))
if tonumber(redis.call('ZSCORE', ended, sid) or 0) > now then
  return {'over'}
end
local held_ms = tonumber(redis.call('ZSCORE', sessions, sid) or 0)
local run = known[1] or '0'
if held_ms > now then
  local since_ms, run_then = string.match(redis.call('HGET', stays, sid) or '', '^(%d+) (%x+)')
  return {'again', tonumber(since_ms) or held_ms - hold_ms, held_ms, run_then or run}
end
local until_ms = now + hold_ms
redis.call('ZADD', sessions, until_ms, sid)
redis.call('HSET', stays, sid, string.format('%.0f %s bypass', now, run))
redis.call('HSET', door, 'last_ms', now)
redis.call('XADD', journal, '*', 'kind', 'bypassed', 'at_ms', now, 'run', run, 'epoch', known[2] or 0, 'token', token,
  'sid', sid, 'lane', 'bypass', 'until_ms', until_ms)
return {'entered', now, until_ms, run}
