-- waits: say whether anybody waits for seats; when nobody does, the kept ones are free.
-- KEYS: map, owner, holds, expiry, buyers, head, deltas, journal
-- ARGV: waits, most
-- RETURNS: {'waits', freed, more} | {'missing'}
local waits, most = ARGV[1], tonumber(ARGV[2])

if not epoch then
  return {'missing'}
end
redis.call('HSET', head, 'waiting', waits)
local kept = {}
if waits == '0' and facts[6 + KEPT] ~= '0' then
  local hall = redis.call('GET', map)
  for tier = 0, 15 do
    local char, from = string.char(tier * 16 + KEPT), 1
    while #kept < most do
      from = string.find(hall, char, from, true)
      if not from then
        break
      end
      kept[#kept + 1] = from - 1
      from = from + 1
    end
  end
end
for _, seat in ipairs(kept) do
  local byte = at(seat)
  put_byte(seat, byte - byte % 16 + FREE)
end
commit()
return {'waits', #kept, #kept == most and 1 or 0}
