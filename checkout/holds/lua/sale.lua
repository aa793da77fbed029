-- sale: open or close the hall for new holds.
-- KEYS: map, owner, holds, expiry, buyers, head, deltas, journal
-- ARGV: open
-- RETURNS: {'sale'} | {'missing'}
local open = ARGV[1]

if not epoch then
  return {'missing'}
end
redis.call('HSET', head, 'open', open)
return {'sale'}
