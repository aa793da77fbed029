-- take: hand a sealed ticket to the first who brings its code in time, and to the same one again.
-- KEYS: line, parcel
-- ARGV: taker, keep_ms, slack_ms
-- RETURNS: {'handed', sealed} | {'taken'} | {'gone'}
local line, parcel = KEYS[1], KEYS[2]
local taker, keep_ms, slack_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local old = redis.call('HMGET', parcel, 'run', 'sealed', 'until_ms', 'taken', 'taker')
if not old[1] or old[1] ~= redis.call('HGET', line, 'run') or now_ms >= tonumber(old[3]) then
  return {'gone'}
end
if old[4] == '1' then
  if taker ~= '' and taker == old[5] then
    return {'handed', old[2]}
  end
  return {'taken'}
end
redis.call('HSET', parcel, 'taken', 1, 'taker', taker, 'until_ms', now_ms + keep_ms)
redis.call('PEXPIRE', parcel, keep_ms + slack_ms)
return {'handed', old[2]}
