-- evict: keep a number of the present run from its turn, and end its session if it has one.
-- `sid` is '' where no admission of the number is known. `withheld` finds the number of a session that was ended here.
-- The place stays what it is, for whoever gives it back.
-- KEYS: line, journal, door, sessions, ended, evicted, withheld
-- ARGV: run, number, sid, who, why, free_ms
-- RETURNS: {'evicted', until_ms} | {'already', until_ms} | {'unknown'} (until_ms 0: no session was ended)
local line, journal, door, sessions, ended, evicted = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local withheld = KEYS[7]
local run, number, sid, who, why, free_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])

local known = redis.call('HMGET', line, 'run', 'epoch', 'issued')
local now = math.max(now_ms, tonumber(redis.call('HGET', door, 'last_ms') or 0))
if known[1] ~= run or tonumber(number) >= tonumber(known[3] or 0) then
  return {'unknown'}
end
local before = redis.call('HGET', evicted, number)
local until_ms = 0
if sid ~= '' and tonumber(redis.call('ZSCORE', ended, sid) or 0) <= now then
  local held_ms = tonumber(redis.call('ZSCORE', sessions, sid) or 0)
  if held_ms > now then
    until_ms = held_ms
    redis.call('ZADD', sessions, math.min(held_ms, now + free_ms), sid)
    redis.call('ZADD', ended, held_ms, sid)
    redis.call('HSET', withheld, sid, number)
    redis.call('HINCRBY', door, 'ended_version', 1)
  end
end
if before and until_ms == 0 then
  return {'already', 0}
end
redis.call('HSET', evicted, number, until_ms > 0 and string.format('%.0f %s', until_ms, sid) or '0')
redis.call('HSET', door, 'last_ms', now)
redis.call('XADD', journal, '*', 'kind', 'evicted', 'at_ms', now, 'run', run, 'epoch', known[2], 'number', number,
  'sid', until_ms > 0 and sid or '', 'until_ms', until_ms, 'who', who, 'why', why)
return {before and 'already' or 'evicted', until_ms}
