-- extend: move the end of a hold, once.
-- KEYS: map, owner, holds, expiry, buyers, head, deltas, journal
-- ARGV: id, buyer, ttl_ms
-- RETURNS: {'extended', until_ms} | {'again', until_ms} | {'gone', state} | {'not-yours'}
local id, buyer, ttl_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

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
if record.extended == 1 then
  return {'again', record.until_ms}
end
record.until_ms, record.extended = record.until_ms + ttl_ms, 1
keep(id, record, 'extended')
commit()
return {'extended', record.until_ms}
