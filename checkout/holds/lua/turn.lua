-- turn: take the right to work on an event's waitlist, or give it back.
-- KEYS: turn
-- ARGV: act, who, lease_ms
-- RETURNS: {'mine'} | {'elsewhere'} | {'given'}
local turn = KEYS[1]
local act, who, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

local known = redis.call('HMGET', turn, 'who', 'until_ms')
if act == 'give' then
  if known[1] == who then
    redis.call('DEL', turn)
  end
  return {'given'}
end
if known[1] and tonumber(known[2]) > now_ms then
  return {'elsewhere'}
end
redis.call('HSET', turn, 'who', who, 'until_ms', now_ms + lease_ms)
return {'mine'}
