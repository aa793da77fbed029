-- mine: read a buyer's live holds and how many seats the buyer has in all.
-- KEYS: map, owner, holds, expiry, buyers, head, deltas, journal
-- ARGV: buyer
-- RETURNS: {'mine', now_ms, count, id, record, ...}
local buyer = ARGV[1]

local count, ids = seats_of(buyer)
local answer = {'mine', now, count}
for from = 1, #ids, 8 do
  local id = string.sub(ids, from, from + 7)
  local text = redis.call('HGET', holds, id)
  if text and not is_due(record_of(text)) then
    answer[#answer + 1] = id
    answer[#answer + 1] = text
  end
end
return answer
