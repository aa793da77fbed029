-- expire: free the holds that are over, and forget those that were over long ago.
-- KEYS: map, owner, holds, expiry, buyers, head, deltas, journal
-- ARGV: most
-- RETURNS: {'expired', holds, seats, more}
local most = tonumber(ARGV[1])

local freed, seats, looked_at = sweep(most)
return {'expired', freed, seats, looked_at == most and '1' or '0'}
