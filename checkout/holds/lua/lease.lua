-- lease: have a piece of work for a time, or give it back; whoever has it may take it again.
-- KEYS: lease
-- ARGV: act, who, lease_ms
-- RETURNS: {'mine'} | {'elsewhere'} | {'given'}
local lease = KEYS[1]
local act, who, lease_ms = ARGV[1], ARGV[2], ARGV[3]

local known = redis.call('GET', lease)
if act == 'give' then
  if known == who then
    redis.call('DEL', lease)
  end
  return {'given'}
end
if known and known ~= who then
  return {'elsewhere'}
end
redis.call('SET', lease, who, 'PX', lease_ms)
return {'mine'}
