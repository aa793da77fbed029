-- join: give the next numbers to a batch of joins and keep their leaves.
-- The first `keyed` joins of the batch each have a key in `once`, which remembers their number for `keep_ms`;
-- the batch as a whole is remembered under `batch` for `batch_ms` (not when every join has a key of its own).
-- `leaves` is the prefix of the chunks' names: which chunk a number falls into is known only here.
-- KEYS: line, leaves, batch, once...
-- ARGV: run, lane, max_waiting, keyed, keep_ms, batch_ms, leaf...
-- RETURNS: {'joined', epoch, number...} (-1 = the room is full) | {'stale', run}
--   | {'closed', phase, number...} (of each keyed join what it was given before, -1 = nothing)
local line, leaves, batch = KEYS[1], KEYS[2], KEYS[3]
local run, lane, max_waiting, keyed = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local keep_ms, batch_ms = ARGV[5], ARGV[6]
local CHUNK, LEAF = 65536, 16

local old = redis.call('HMGET', line, 'run', 'phase', 'issued', 'epoch', 'serving:standard', 'void', 'last_ms', 'frozen')
if old[1] ~= run then
  return {'stale', old[1] or ''}
end
local count = #ARGV - 6
if keyed < count then
  local before = redis.call('GET', batch)
  if before then
    return cjson.decode(before)
  end
end
if old[2] ~= 'gathering' and old[2] ~= 'serving' then
  -- whoever joined before and lost the answer has a place all the same
  local answer = {'closed', old[2]}
  for i = 1, keyed do
    answer[2 + i] = tonumber(redis.call('GET', KEYS[3 + i]) or -1)
  end
  return answer
end

local issued, called = tonumber(old[3]), tonumber(old[5])
local room_left = count
if max_waiting >= 0 then
  local waiting, frozen = issued - called, tonumber(old[8])
  for _, range in ipairs(cjson.decode(old[6])) do
    waiting = waiting - math.max(0, math.min(issued, range[2]) - math.max(called, range[1], frozen))
  end
  room_left = math.max(0, math.min(count, max_waiting - waiting))
end

local answer, fresh, first = {'joined', tonumber(old[4])}, {}, issued
for i = 1, count do
  local number = -1
  if i <= keyed then
    if #fresh < room_left then
      local known = redis.call('SET', KEYS[3 + i], issued, 'NX', 'GET', 'PX', keep_ms)
      number = known and tonumber(known) or issued
    else
      number = tonumber(redis.call('GET', KEYS[3 + i]) or -1)
    end
  elseif #fresh < room_left then
    number = issued
  end
  if number == issued then
    fresh[#fresh + 1] = ARGV[6 + i]
    issued = issued + 1
  end
  answer[2 + i] = number
end

local at = first
while at < issued do
  local chunk = math.floor(at / CHUNK)
  local stop = math.min(issued, (chunk + 1) * CHUNK)
  local name = leaves .. ':' .. string.format('%d', chunk)
  if redis.call('STRLEN', name) == 0 then
    redis.call('SETRANGE', name, CHUNK * LEAF - 1, '\0')
  end
  redis.call('SETRANGE', name, (at - chunk * CHUNK) * LEAF, table.concat(fresh, '', at - first + 1, stop - first))
  at = stop
end
if issued > first then
  redis.call('HSET', line, 'issued', issued, 'last_ms', math.max(now_ms, tonumber(old[7])))
  if lane ~= 'standard' then
    redis.call('HINCRBY', line, 'count:' .. lane, issued - first)
  end
end
if keyed < count then
  redis.call('SET', batch, cjson.encode(answer), 'PX', batch_ms)
end
return answer
