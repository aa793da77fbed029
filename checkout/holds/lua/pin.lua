-- pin: keep the seats of a hold while SQL decides.
-- KEYS: map, owner, holds, expiry, buyers, head, deltas, journal
-- ARGV: id, buyer, grace_ms, longest_ms
-- RETURNS: {'pinned', fence, until_ms, epoch, price_version, seats, currency}
--   | {'again', fence, until_ms, epoch, price_version, seats, currency} | {'gone', state} | {'not-yours'}
local id, buyer, grace_ms, longest_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local record = find(id)
if not record then
  return {'gone', 'unknown'}
end
if record.buyer ~= buyer then
  return {'not-yours'}
end
if is_due(record) then
  let_go(id, record, 'expired')
  commit()
end
if not record.is_live then
  return {'gone', record.state}
end
local word = 'again'
if record.state == 'held' then
  word = 'pinned'
  move(record.seats, RESERVED, nil)
  record.state, record.end_ms = 'pinned', record.until_ms
  record.until_ms = math.min(record.until_ms + grace_ms, now + longest_ms)
  keep(id, record, 'pinned')
  commit()
end
return {word, record.fence, record.until_ms, record.epoch, tonumber(record.price_version), record.seats, record.currency}
