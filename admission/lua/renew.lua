-- renew: give a live session its full time again; a session that the store lost comes back with its token.
-- `token_until_ms` is 0 when no token was presented.
-- KEYS: line, journal, door, sessions, stays, ended, next, recall, next_seen, next_who
-- ARGV: sid, token_since_ms, token_run, token_lane, token_until_ms, hold_ms, longest_ms, renewal
-- RETURNS: {'renewed', until_ms, since_ms, run, lane} | {'kept', until_ms, since_ms, run, lane} | {'over'}
--   | {'unknown'} | {'earlier-run'}
local line, journal, door, sessions, stays, ended = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local next, recall, next_seen, next_who = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local sid, token_since_ms, token_run, token_lane, token_until_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])
local hold_ms, longest_ms, renewal = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]

local now = math.max(now_ms, tonumber(redis.call('HGET', door, 'last_ms') or 0))
if tonumber(redis.call('ZSCORE', ended, sid) or 0) > now then
  return {'over'}
end
local until_ms = tonumber(redis.call('ZSCORE', sessions, sid) or 0)
local since_ms, run, lane = string.match(redis.call('HGET', stays, sid) or '', '^(%d+) (%x+) (%l+)$')
since_ms = tonumber(since_ms)
local came_back = false
if until_ms <= now or not since_ms then
  if token_until_ms <= now then
    return {'unknown'}
  end
  since_ms, run, lane = token_since_ms, token_run, token_lane
  until_ms, came_back = math.max(token_until_ms, until_ms), true
end
local known = redis.call('HMGET', line, 'run', 'epoch')
if known[1] and run ~= known[1] then
  return {'earlier-run'}
end
local extended_ms = until_ms
if renewal == '1' then
  extended_ms = math.min(now + hold_ms, since_ms + longest_ms)
end
local is_longer = extended_ms > until_ms
if is_longer or came_back then
  until_ms = math.max(until_ms, extended_ms)
  redis.call('ZREM', next, sid)
  redis.call('ZREM', recall, sid)
  redis.call('ZREM', next_seen, sid)
  redis.call('HDEL', next_who, sid)
  redis.call('ZADD', sessions, until_ms, sid)
  redis.call('HSET', stays, sid, string.format('%.0f %s %s', since_ms, run, lane))
  redis.call('HSET', door, 'last_ms', now)
  redis.call('XADD', journal, '*', 'kind', 'renewed', 'at_ms', now, 'run', run, 'epoch', known[2] or 0, 'sid', sid,
    'until_ms', until_ms)
end
return {is_longer and 'renewed' or 'kept', until_ms, since_ms, run, lane}
