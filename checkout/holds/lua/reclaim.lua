-- reclaim: free seats that were sold and have come back; those of an allocation are blocked again. Others are left alone.
-- KEYS: map, owner, holds, expiry, buyers, head, deltas, journal
-- ARGV: buyer, back, run...
-- RETURNS: {'marked', n} | {'missing'}
local buyer, back = ARGV[1], tonumber(ARGV[2])

if not epoch then
  return {'missing'}
end
if back ~= BLOCKED then
  back = waiting and KEPT or FREE
end
local freed = 0
for number = 3, #ARGV do
  local first, count = string.match(ARGV[number], '^(%d+)%+(%d+)$')
  first, count = tonumber(first), tonumber(count)
  fetch(first, first + count - 1)
  for seat = first, first + count - 1 do
    local byte = byte_of[seat]
    if byte and byte % 16 == SOLD then
      put_byte(seat, byte - byte % 16 + back)
      freed = freed + 1
    end
  end
end
local has, ids = seats_of(buyer)
local live = 0
for from = 1, #ids, 8 do
  local record = find(string.sub(ids, from, from + 7))
  local _, seats = string.gsub(record.seats, '%.', '')
  live = live + seats
end
if freed > 0 and has > live then
  put_buyer(buyer, math.max(has - freed, live), ids)
end
commit()
return {'marked', freed}
