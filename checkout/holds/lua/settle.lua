-- settle: do with a hold what SQL has decided.
-- KEYS: map, owner, holds, expiry, buyers, head, deltas, journal
-- ARGV: id, to
-- RETURNS: {'settled'} | {'gone', state}
local id, to = ARGV[1], ARGV[2]

local record = find(id)
if not record then
  return {'gone', 'unknown'}
end
if not record.is_live then
  return {'gone', record.state}
end
if to == 'back' then
  let_go(id, record, 'released', 'settled')
elseif to == 'sold' then
  move(record.seats, SOLD, NOBODY)
  drop_from_buyer(record, id, 0)
  record.state, record.until_ms, record.end_ms = 'sold', now, 0
  keep(id, record, 'settled')
elseif record.state == 'pinned' then
  move(record.seats, HELD, nil)
  record.state, record.until_ms, record.end_ms = 'held', record.end_ms, 0
  keep(id, record, 'settled')
end
commit()
return {'settled'}
