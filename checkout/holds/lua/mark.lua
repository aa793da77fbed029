-- mark: block seats, free blocked ones, or put seats into another tier; all of them or none.
-- KEYS: map, owner, holds, expiry, buyers, head, deltas, journal
-- ARGV: act, tier, run...
-- RETURNS: {'marked', n} | {'busy', seat, ...} | {'missing'}
local act, tier = ARGV[1], tonumber(ARGV[2])
local BUSY_TOLD = 100

if not epoch then
  return {'missing'}
end
local wanted, busy = {}, {}
for number = 3, #ARGV do
  local first, count = string.match(ARGV[number], '^(%d+)%+(%d+)$')
  first, count = tonumber(first), tonumber(count)
  fetch(first, first + count - 1)
  for seat = first, first + count - 1 do
    local byte = byte_of[seat]
    local status = byte and byte % 16
    wanted[#wanted + 1] = seat
    if not byte or (act == 'block' and status ~= FREE) or (act == 'unblock' and status ~= BLOCKED) then
      busy[#busy + 1] = seat
      if #busy == BUSY_TOLD then
        return {'busy', unpack(busy)}
      end
    end
  end
end
if #busy > 0 then
  return {'busy', unpack(busy)}
end
local to = BLOCKED
if act == 'unblock' then
  to = waiting and KEPT or FREE
end
for _, seat in ipairs(wanted) do
  local byte = byte_of[seat]
  put_byte(seat, act == 'tier' and tier * 16 + byte % 16 or byte - byte % 16 + to)
end
commit()
return {'marked', #wanted}
