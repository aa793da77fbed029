-- configure: keep a room's next settings or take the room away, if nobody was faster.
-- KEYS: config, journal, changes
-- ARGV: act, expected, body, who, why, what, keep
-- RETURNS: {'configured', version} | {'removed', version} | {'restored', version} | {'stale', version} | {'absent'}
local config, journal, changes = KEYS[1], KEYS[2], KEYS[3]
local act, expected, body = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local who, why, what, keep = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])

-- The kept text begins with its version. A removed room leaves a mark, so that a room of the same name made later
-- goes on counting and nobody overwrites it by an old version.
local text = redis.call('GET', config) or ''
local version = tonumber(string.match(text, '^{"version":(%d+)') or 0)
local live = version
if string.find(text, '^{"version":%d+,"_removed":true') then
  live = 0
end

-- What a worker remembers of a store that forgot: on record already, so it is neither counted nor journaled again.
if act == 'restore' then
  if version >= expected then
    return {'stale', version}
  end
  redis.call('SET', config, '{"version":' .. expected .. ',' .. string.sub(body, 2))
  return {'restored', expected}
end

if live == 0 and (act == 'remove' or expected ~= 0) then
  return {'absent'}
end
if live ~= expected then
  return {'stale', live}
end
version = version + 1
local kind, begin = 'configured', '{"version":' .. version .. ','
if act == 'remove' then
  kind, begin = 'removed', begin .. '"_removed":true,'
end
text = begin .. string.sub(body, 2)
redis.call('SET', config, text)
redis.call('LPUSH', changes, '{"version":' .. version .. ',"at_ms":' .. now_ms .. ',' .. string.sub(what, 2))
redis.call('LTRIM', changes, 0, keep - 1)
redis.call('XADD', journal, '*', 'kind', kind, 'at_ms', now_ms, 'version', version, 'who', who, 'why', why,
  'config', text)
return {kind, version}
