-- look: read the whole hall at one moment.
-- KEYS: map, owner, holds, expiry, buyers, head, deltas, journal
-- ARGV: none
-- RETURNS: {'seen', epoch, delta_id, map, counts...} | {'missing'}
if not epoch then
  return {'missing'}
end
local last = redis.call('XREVRANGE', deltas, '+', '-', 'COUNT', 1)[1]
local answer = {'seen', tonumber(epoch), last and last[1] or '0-0', redis.call('GET', map)}
for status = 0, 5 do
  answer[5 + status] = tonumber(facts[6 + status])
end
return answer
