-- load: replace the map and the holds of an event, at its first opening, after a loss, after a move.
-- KEYS: map, owner, holds, expiry, buyers, head, deltas, journal
-- ARGV: new_epoch, hall, open, waits, bought, row...
-- RETURNS: {'loaded', epoch} | {'newer', epoch}
local new_epoch, hall, open, waits, bought = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]

if epoch and tonumber(epoch) >= new_epoch then
  return {'newer', tonumber(epoch)}
end
redis.call('DEL', map, owner, holds, expiry, buyers)
redis.call('SET', map, hall)
redis.call('SETRANGE', owner, #hall * 8 - 1, '\0')
local counts = {[0] = 0, 0, 0, 0, 0, 0}
for seat = 1, #hall do
  local status = string.byte(hall, seat) % 16
  counts[status] = counts[status] + 1
end

fence = fence or 0
local has, ids = {}, {}
for buyer, seats in string.gmatch(bought, '([^,=]+)=(%d+)') do
  has[buyer], ids[buyer] = tonumber(seats), ''
end
for number = 6, #ARGV, 2 do
  local id, record = ARGV[number], record_of(ARGV[number + 1])
  local buyer = record.buyer
  local first, length = nil, 0
  for text in string.gmatch(record.seats .. ',.', '(%d*)%.') do
    local seat = tonumber(text)
    if first and seat ~= first + length then
      redis.call('SETRANGE', owner, first * 8, string.rep(id, length))
      has[buyer] = (has[buyer] or 0) + length
      first, length = nil, 0
    end
    first, length = first or seat, length + 1
  end
  ids[buyer] = (ids[buyer] or '') .. id
  fence = math.max(fence, record.fence)
  keep(id, record)
end
for buyer, seats in pairs(has) do
  put_buyer(buyer, seats, ids[buyer])
end
flush()
redis.call('HSET', head, 'epoch', new_epoch, 'fence', fence, 'seats', #hall, 'last_ms', now, 'open', open,
  'waiting', waits, 'count:0', counts[0], 'count:1', counts[1], 'count:2', counts[2], 'count:3', counts[3],
  'count:4', counts[4], 'count:5', counts[5])
redis.call('XADD', deltas, 'MAXLEN', '~', DELTAS_KEPT, '*', 'd', 'reset')
return {'loaded', new_epoch}
