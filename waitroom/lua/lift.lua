-- lift: raise the counter and the thresholds to what a witness proves; jumped numbers become void.
-- KEYS: line, journal
-- ARGV: run, issued, verified, standard, suspect, why
-- RETURNS: {'done'} | {'stale'}
local line, journal = KEYS[1], KEYS[2]
local run, issued, verified, standard, suspect, why = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]

local old = redis.call('HMGET', line, 'run', 'issued', 'void', 'serving:verified', 'serving:standard',
  'serving:suspect', 'last_ms', 'epoch')
if old[1] ~= run then
  return {'stale'}
end
local have = tonumber(old[2])
local top = math.max(issued, have)
standard = math.max(standard, suspect)
verified = math.max(verified, standard)
local want = {
  math.max(math.min(verified, top), tonumber(old[4])),
  math.max(math.min(standard, top), tonumber(old[5])),
  math.max(math.min(suspect, top), tonumber(old[6])),
}
want[2] = math.max(want[2], want[3])
want[1] = math.max(want[1], want[2])
if top == have and want[1] == tonumber(old[4]) and want[2] == tonumber(old[5]) and want[3] == tonumber(old[6]) then
  return {'done'}
end

local now = math.max(now_ms, tonumber(old[7]))
if top > have then
  local void = cjson.decode(old[3])
  local last = void[#void]
  if last and last[2] == have then
    last[2] = top
  else
    void[#void + 1] = {have, top}
  end
  local parts = {}
  for i, range in ipairs(void) do
    parts[i] = string.format('[%d,%d]', range[1], range[2])
  end
  local text = '[' .. table.concat(parts, ',') .. ']'
  redis.call('HSET', line, 'void', text)
  redis.call('XADD', journal, '*', 'kind', 'voided', 'at_ms', now, 'run', run, 'epoch', old[8], 'issued', top,
    'void', text, 'why', why)
end
redis.call('HSET', line, 'issued', top, 'serving:verified', want[1], 'serving:standard', want[2],
  'serving:suspect', want[3], 'last_ms', now)
redis.call('HINCRBY', line, 'version', 1)
return {'done'}
