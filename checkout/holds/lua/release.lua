-- release: give the seats of a hold back.
-- KEYS: map, owner, holds, expiry, buyers, head, deltas, journal
-- ARGV: id, buyer
-- RETURNS: {'released'} | {'gone', state} | {'not-yours'}
local id, buyer = ARGV[1], ARGV[2]

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
if record.state ~= 'held' then
  return {'gone', record.state}
end
let_go(id, record, 'released')
commit()
return {'released'}
