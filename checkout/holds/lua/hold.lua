-- hold: put seats aside for a buyer, all of them or none.
-- KEYS: map, owner, holds, expiry, buyers, head, deltas, journal
-- ARGV: id, buyer, wanted, ttl_ms, max_per_buyer, back, price_version, body, currency
-- RETURNS: {'held', fence, until_ms, epoch, 'seat.tier,...'}
--   | {'again', state, fence, until_ms, epoch, seats, price_version, currency, extended} | {'differs'}
--   | {'taken', seat, status, ...} | {'limit', has, max} | {'few', left} | {'closed'} | {'missing'}
local id, buyer, wanted, ttl_ms, max_per_buyer = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local back, price_version, body, currency = tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9]

if not epoch then
  return {'missing'}
end
local known = find(id)
if known then
  -- a record that was rebuilt from SQL has lost its body
  if known.buyer ~= buyer or (known.body ~= body and known.body ~= '-') then
    return {'differs'}
  end
  if is_due(known) then
    let_go(id, known, 'expired')
    commit()
  end
  return {'again', known.state, known.fence, known.until_ms, known.epoch, known.seats, tonumber(known.price_version),
    known.currency, known.extended}
end
if not is_open then
  return {'closed'}
end

local seats, places, count, chosen = {}, {}, 0, {}
for item in string.gmatch(wanted, '[^,]+') do
  local seat = tonumber(item)
  if seat then
    seats[#seats + 1], chosen[seat] = seat, true
    count = count + 1
  else
    local first, last, most = string.match(item, '^(%d+)%-(%d+)%*(%d+)$')
    places[#places + 1] = {first = tonumber(first), last = tonumber(last), most = tonumber(most)}
    count = count + tonumber(most)
  end
end
if #seats > 0 and seats[#seats] - seats[1] < NEAR then
  fetch(seats[1], seats[#seats])
end

-- lazy expiry: a wanted seat whose hold is over is free, whether the sweeper came by or not
local lapsed = false
for _, seat in ipairs(seats) do
  local status = (at(seat) or BLOCKED) % 16
  if status == HELD or status == RESERVED then
    local its_id = redis.call('GETRANGE', owner, seat * 8, seat * 8 + 7)
    local its = find(its_id)
    if its and is_due(its) then
      let_go(its_id, its, 'expired')
      lapsed = true
    end
  end
end
if lapsed then
  commit()
end

local has, ids = seats_of(buyer)
if has + count > max_per_buyer then
  sweep(LAZY_MOST)
  has, ids = seats_of(buyer)
  if has + count > max_per_buyer then
    return {'limit', has, max_per_buyer}
  end
end

local taken = {}
for _, seat in ipairs(seats) do
  local status = (at(seat) or BLOCKED) % 16
  if at(seat) == nil or not (status == back or (back == KEPT and status == FREE)) then
    taken[#taken + 1] = seat
    taken[#taken + 1] = status
  end
end
if #taken > 0 then
  return {'taken', unpack(taken)}
end

-- the lowest free places of a range, tier by tier; kept ones first for whom they are kept
local function pick(range)
  local found, bytes = {}, redis.call('GETRANGE', map, range.first, range.last)
  for _, status in ipairs(back == KEPT and {KEPT, FREE} or {back}) do
    for tier = 0, 15 do
      local char, from = string.char(tier * 16 + status), 1
      while #found < range.most do
        from = string.find(bytes, char, from, true)
        if not from then
          break
        end
        local seat = range.first + from - 1
        if not chosen[seat] then
          found[#found + 1] = seat
        end
        from = from + 1
      end
    end
  end
  return found
end

for _, range in ipairs(places) do
  local found = pick(range)
  if #found < range.most then
    sweep(LAZY_MOST)
    found = pick(range)
    if #found < range.most then
      return {'few', #found}
    end
    has, ids = seats_of(buyer)
  end
  for _, seat in ipairs(found) do
    seats[#seats + 1], chosen[seat] = seat, true
  end
end
if #places > 0 then
  table.sort(seats)
end

fence = fence + 1
local texts = {}
for number, seat in ipairs(seats) do
  local byte = at(seat)
  texts[number] = seat .. '.' .. (byte - byte % 16) / 16
  put_byte(seat, byte - byte % 16 + HELD)
  owner_of[seat] = id
end
local record = {state = 'held', fence = fence, epoch = tonumber(epoch), until_ms = now + ttl_ms, end_ms = 0, extended = 0,
  back = back, price_version = price_version, currency = currency, buyer = buyer, body = body,
  seats = table.concat(texts, ',')}
keep(id, record, 'held')
put_buyer(buyer, has + count, ids .. id)
commit()
return {'held', fence, record.until_ms, record.epoch, record.seats}
