-- call: advance the thresholds for one slot of time and show how many have joined.
-- KEYS: line, journal, calls
-- ARGV: run, slot, verified, standard, suspect, plan_per_minute, keep, set_back_ms
-- RETURNS: {'called', verified, standard, suspect} | {'late'} | {'stale'}
local line, journal, calls = KEYS[1], KEYS[2], KEYS[3]
local run, slot, verified, standard, suspect, plan_per_minute, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local set_back_ms = tonumber(ARGV[8])

local old = redis.call('HMGET', line, 'run', 'phase', 'tick_slot', 'issued', 'serving:verified', 'serving:standard',
  'serving:suspect', 'plan_per_minute', 'shown_issued', 'void', 'last_ms', 'epoch', 'frozen')
if old[1] ~= run or (old[2] ~= 'serving' and old[2] ~= 'gathering') then
  return {'stale'}
end
-- a clock that was set back is believed here, and nowhere else in the line: slots and the history of calls begin anew
local last_ms = tonumber(old[11])
local set_back = last_ms - now_ms > set_back_ms
if slot <= tonumber(old[3]) and not set_back then
  return {'late'}
end
local issued = tonumber(old[4])
local have = {tonumber(old[5]), tonumber(old[6]), tonumber(old[7])}
local want = {have[1], have[2], have[3]}
if old[2] == 'serving' then
  standard = math.max(standard, suspect)
  verified = math.max(verified, standard)
  -- below the freeze a rank is not a number, so void numbers are no gap on the axis there
  local void, frozen = cjson.decode(old[10]), tonumber(old[13])
  for i, value in ipairs({verified, standard, suspect}) do
    want[i] = math.max(math.min(value, issued), have[i])
    for _, range in ipairs(void) do
      if math.max(range[1], frozen) <= want[i] and want[i] < range[2] then
        want[i] = range[2]
      end
    end
  end
  want[2] = math.max(want[2], want[3])
  want[1] = math.max(want[1], want[2])
end

local now = set_back and now_ms or math.max(now_ms, last_ms)
redis.call('HSET', line, 'tick_slot', slot, 'last_ms', now)
if set_back then
  redis.call('DEL', calls)
end
local moved = want[1] ~= have[1] or want[2] ~= have[2] or want[3] ~= have[3]
if set_back or moved or plan_per_minute ~= old[8] or old[4] ~= old[9] then
  redis.call('HSET', line, 'serving:verified', want[1], 'serving:standard', want[2], 'serving:suspect', want[3],
    'plan_per_minute', plan_per_minute, 'shown_issued', issued, 'shown_ms', now)
  redis.call('HINCRBY', line, 'version', 1)
end
if moved then
  redis.call('RPUSH', calls, string.format('%d %d %d %d', now, want[1], want[2], want[3]))
  redis.call('LTRIM', calls, -keep, -1)
  redis.call('XADD', journal, '*', 'kind', 'called', 'at_ms', now, 'run', run, 'epoch', old[12],
    'verified', want[1], 'standard', want[2], 'suspect', want[3], 'issued', issued)
end
return {'called', want[1], want[2], want[3]}
