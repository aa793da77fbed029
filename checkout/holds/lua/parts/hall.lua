-- hall: what every transition of a hall does alike. No script by itself; it stands in front of each.
--
-- `start` begins a call. All else is made once, also where one command carries many calls (`kernel.batch`): to make these
-- functions anew for each of them would cost as much as half a hold.
-- Changes are collected and written by `commit`: seats in runs, with their delta and the counts; records, ends and
-- buyers of all holds by one command each. A call of the store costs more than what it does. A script that answers
-- without `commit` has changed nothing. KEYS are the same eight for all.
local FREE, HELD, RESERVED, SOLD, BLOCKED, KEPT = 0, 1, 2, 3, 4, 5
local NOBODY = string.rep('\0', 8)
local FORGET_MS, LAZY_MOST, DELTAS_KEPT, NEAR, MANY, PIECE = 600000, 100, 20000, 256, 8, 1000

local map, owner, holds, expiry, buyers, head, deltas, journal
local facts, epoch, fence, is_open, waiting, now, known_fence
local byte_of, owner_of, changed, shift
local kept, ends, notes, bought, whole, told_of

local function start(keys, now_ms)
  map, owner, holds, expiry = keys[1], keys[2], keys[3], keys[4]
  buyers, head, deltas, journal = keys[5], keys[6], keys[7], keys[8]
  facts = redis.call('HMGET', head, 'epoch', 'fence', 'last_ms', 'open', 'waiting',
    'count:0', 'count:1', 'count:2', 'count:3', 'count:4', 'count:5')
  epoch, fence, is_open, waiting = facts[1], tonumber(facts[2]), facts[4] == '1', facts[5] == '1'
  now, known_fence = math.max(now_ms, tonumber(facts[3]) or 0), fence
  byte_of, owner_of, changed, shift = {}, {}, {}, {}
  kept, ends, notes, bought, whole, told_of = {}, {}, {}, {}, nil, {}
end

-- reads bytes of the map; what this script has changed already stays
local function fetch(first, last)
  local got = redis.call('GETRANGE', map, first, last)
  for at = 1, #got do
    local seat = first + at - 1
    byte_of[seat] = byte_of[seat] or string.byte(got, at)
  end
end

-- the byte of a seat as it is after the changes so far; nil outside the hall
local function at(seat)
  if not byte_of[seat] then
    if whole then
      byte_of[seat] = string.byte(whole, seat + 1)
    else
      fetch(seat, seat)
    end
  end
  return byte_of[seat]
end

local function put_byte(seat, new)
  local old = at(seat)
  local from, to = old % 16, new % 16
  shift[from] = (shift[from] or 0) - 1
  shift[to] = (shift[to] or 0) + 1
  byte_of[seat] = new
  changed[#changed + 1] = seat
end

-- seats of a text `120.0,121.0` take a status; `who` is the new owner, nil leaves it (for all seats of one commit)
local function move(seats, status, who)
  local all = {}
  for text in string.gmatch(seats, '(%d+)%.') do
    all[#all + 1] = tonumber(text)
  end
  if not whole and all[#all] - all[1] < NEAR then
    fetch(all[1], all[#all])
  end
  for _, seat in ipairs(all) do
    local byte = at(seat)
    put_byte(seat, byte - byte % 16 + status)
    owner_of[seat] = who
  end
  return #all
end

local function in_pieces(command, key, values)
  for from = 1, #values, PIECE do
    redis.call(command, key, unpack(values, from, math.min(#values, from + PIECE - 1)))
  end
end

-- writes what was collected of holds and buyers
local function flush()
  in_pieces('HSET', holds, kept)
  in_pieces('ZADD', expiry, ends)
  for _, text in ipairs(notes) do
    redis.call('XADD', journal, '*', 'n', text)
  end
  local have, left = {}, {}
  for buyer, value in pairs(bought) do
    if value.count == 0 then
      left[#left + 1] = buyer
    elseif value.count then
      have[#have + 1] = buyer
      have[#have + 1] = value.ids == '' and value.count or value.count .. ' ' .. value.ids
    end
  end
  in_pieces('HSET', buyers, have)
  in_pieces('HDEL', buyers, left)
  kept, ends, notes, bought = {}, {}, {}, {}
end

local function commit()
  flush()
  local write = {'last_ms', now}
  for status, by in pairs(shift) do
    if by ~= 0 then
      facts[6 + status] = tonumber(facts[6 + status]) + by
      write[#write + 1] = 'count:' .. status
      write[#write + 1] = facts[6 + status]
    end
  end
  shift = {}
  if fence ~= known_fence then
    write[#write + 1] = 'fence'
    write[#write + 1] = fence
  end
  redis.call('HSET', head, unpack(write))
  if #changed == 0 then
    return
  end
  table.sort(changed)
  local told, from = {}, 1
  while from <= #changed do
    local first, bytes, owners, to = changed[from], {}, {}, from
    local run_from, run_byte = first, byte_of[first]
    while changed[to] == first + to - from do
      local seat = changed[to]
      local byte = byte_of[seat]
      if byte ~= run_byte then
        local length = seat - run_from
        told[#told + 1] = run_from .. (length > 1 and '+' .. length or '') .. string.format('=%02x', run_byte)
        run_from, run_byte = seat, byte
      end
      bytes[#bytes + 1] = string.char(byte)
      owners[#owners + 1] = owner_of[seat]
      to = to + 1
    end
    local length = changed[to - 1] + 1 - run_from
    told[#told + 1] = run_from .. (length > 1 and '+' .. length or '') .. string.format('=%02x', run_byte)
    redis.call('SETRANGE', map, first, table.concat(bytes))
    if #owners > 0 then
      redis.call('SETRANGE', owner, first * 8, table.concat(owners))
    end
    from = to
  end
  redis.call('XADD', deltas, 'MAXLEN', '~', DELTAS_KEPT, '*', 'd', table.concat(told, ','))
  changed, owner_of = {}, {}
end

local function record_of(text)
  local state, its_fence, its_epoch, until_ms, end_ms, extended, back, price_version, currency, buyer, body, seats =
    string.match(text, '^(%l+) (%d+) (%d+) (%d+) (%d+) (%d) (%d) (%d+) (%S+) (%S+) (%S+) (%S+)$')
  return {state = state, fence = tonumber(its_fence), epoch = tonumber(its_epoch), until_ms = tonumber(until_ms),
    end_ms = tonumber(end_ms), extended = tonumber(extended), back = tonumber(back), price_version = price_version,
    currency = currency, buyer = buyer, body = body, seats = seats,
    is_live = state == 'held' or state == 'pinned'}
end

local function find(id)
  local text = redis.call('HGET', holds, id)
  return text and record_of(text)
end

local function is_due(record)
  return record.is_live and record.until_ms <= now
end

-- keeps a hold's record; `what` happened to it is a note for SQL, nil when SQL knows: id, what, now and the record
local function keep(id, record, what)
  local text = table.concat({record.state, record.fence, record.epoch, record.until_ms, record.end_ms, record.extended,
    record.back, record.price_version, record.currency, record.buyer, record.body, record.seats}, ' ')
  local live = record.state == 'held' or record.state == 'pinned'
  kept[#kept + 1] = id
  kept[#kept + 1] = text
  ends[#ends + 1] = live and record.until_ms or record.until_ms + FORGET_MS
  ends[#ends + 1] = id
  if what then
    notes[#notes + 1] = id .. what .. ' ' .. string.format('%d', now) .. ' ' .. text
  end
end

-- a buyer's value: the number of seats, and after a space the ids of the live holds
local function seats_of(buyer)
  local new = bought[buyer]
  if new then
    return new.count, new.ids
  end
  local value = told_of[buyer]
  if value == nil then
    value = redis.call('HGET', buyers, buyer)
  end
  if not value then
    return 0, ''
  end
  local count, ids = string.match(value, '^(%d+) ?(.*)$')
  return tonumber(count), ids
end

local function put_buyer(buyer, count, ids)
  bought[buyer] = {count = count, ids = ids}
end

local function drop_from_buyer(record, id, seats)
  local count, ids = seats_of(record.buyer)
  for from = 1, #ids, 8 do
    if string.sub(ids, from, from + 7) == id then
      ids = string.sub(ids, 1, from - 1) .. string.sub(ids, from + 8)
      break
    end
  end
  put_buyer(record.buyer, count - seats, ids)
end

-- ends a hold: its seats go back to where they came from, or to those who wait
local function let_go(id, record, word, what)
  local back = record.back
  if back ~= BLOCKED then
    back = waiting and KEPT or FREE
  end
  local count = move(record.seats, back, NOBODY)
  drop_from_buyer(record, id, count)
  record.state, record.until_ms, record.end_ms, record.is_live = word, now, 0, false
  keep(id, record, what or word)
  return count
end

-- frees what is over or forgets it, `most` at once
local function sweep(most)
  local freed, seats, forgotten = 0, 0, {}
  local ids = redis.call('ZRANGEBYSCORE', expiry, '-inf', now, 'LIMIT', 0, most)
  if #ids == 0 then
    return 0, 0, 0
  end
  if #ids >= MANY then
    whole = redis.call('GET', map)
  end
  local over, who, names = {}, {}, {}
  for place, text in ipairs(redis.call('HMGET', holds, unpack(ids))) do
    local record = record_of(text)
    if record.is_live then
      over[#over + 1] = {ids[place], record}
      if not who[record.buyer] then
        who[record.buyer] = true
        names[#names + 1] = record.buyer
      end
    else
      forgotten[#forgotten + 1] = ids[place]
    end
  end
  if #names > 0 then
    for place, value in ipairs(redis.call('HMGET', buyers, unpack(names))) do
      told_of[names[place]] = value
    end
  end
  for _, one in ipairs(over) do
    seats = seats + let_go(one[1], one[2], 'expired')
  end
  freed = #over
  in_pieces('HDEL', holds, forgotten)
  in_pieces('ZREM', expiry, forgotten)
  commit()
  whole, told_of = nil, {}
  return freed, seats, #ids
end
