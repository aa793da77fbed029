-- waitlist: say that somebody waits, that nobody does any more, or that some kept seats are wanted by nobody.
--
-- `seen` is what the asker knew before it read who waits (epoch and count of joins); if somebody has joined since,
-- nothing is done. Otherwise the last to leave and the next to join could pass each other, and seats would be
-- free for all while one waits.
-- KEYS: map, owner, holds, expiry, buyers, head, deltas, journal
-- ARGV: act, seen, most, seat...
-- RETURNS: {'open', seen} | {'freed', seats, more, seen} | {'changed', seen} | {'seen', waiting, seen} | {'missing'}
local act, seen, most = ARGV[1], ARGV[2], tonumber(ARGV[3])

if not epoch then
  return {'missing'}
end
local known = epoch .. '.' .. (redis.call('HGET', head, 'joins') or '0')
if act == 'look' then
  return {'seen', waiting and 1 or 0, known}
end
if act == 'join' then
  local joins = redis.call('HINCRBY', head, 'joins', 1)
  redis.call('HSET', head, 'waiting', '1')
  return {'open', epoch .. '.' .. joins}
end
if seen ~= known then
  return {'changed', known}
end

local wanted_by_nobody, more = {}, 0
if act == 'close' then
  redis.call('HSET', head, 'waiting', '0')
  if facts[6 + KEPT] ~= '0' then
    local hall = redis.call('GET', map)
    for tier = 0, 15 do
      local char, from = string.char(tier * 16 + KEPT), 1
      while #wanted_by_nobody < most do
        from = string.find(hall, char, from, true)
        if not from then
          break
        end
        wanted_by_nobody[#wanted_by_nobody + 1] = from - 1
        from = from + 1
      end
    end
    if #wanted_by_nobody == most then
      more = 1
    end
  end
else
  for number = 4, math.min(#ARGV, most + 3) do
    wanted_by_nobody[#wanted_by_nobody + 1] = tonumber(ARGV[number])
  end
end
local freed = 0
for _, seat in ipairs(wanted_by_nobody) do
  local byte = at(seat)
  if byte and byte % 16 == KEPT then
    put_byte(seat, byte - byte % 16 + FREE)
    freed = freed + 1
  end
end
commit()
return {'freed', freed, more, known}
