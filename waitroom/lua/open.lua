-- open: begin a new run of a room, unless somebody already did.
-- KEYS: line, journal, calls, stale...
-- ARGV: seen, run, opening, phase, commitment, who
-- RETURNS: {'opened', epoch} | {'stale', run}
local line, journal, calls = KEYS[1], KEYS[2], KEYS[3]
local seen, run, opening, phase, commitment, who = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local old = redis.call('HMGET', line, 'run', 'epoch', 'last_ms')
local current = old[1] or ''
if current ~= seen then
  return {'stale', current}
end
local epoch = (tonumber(old[2]) or 0) + 1
local now = math.max(now_ms, tonumber(old[3]) or 0)
redis.call('DEL', line, calls)
for i = 4, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
redis.call('HSET', line, 'run', run, 'epoch', epoch, 'version', 1, 'phase', phase, 'opening', opening,
  'issued', 0, 'void', '[]', 'serving:verified', 0, 'serving:standard', 0, 'serving:suspect', 0,
  'count:verified', 0, 'count:suspect', 0, 'frozen', -1, 'root', '', 'seed', '',
  'commitment', commitment, 'opened_ms', now, 'phase_ms', now, 'last_ms', now,
  'tick_slot', 0, 'shown_issued', 0, 'shown_ms', now, 'plan_per_minute', 0)
redis.call('XADD', journal, '*', 'kind', 'opened', 'at_ms', now, 'run', run, 'epoch', epoch, 'opening', opening,
  'phase', phase, 'commitment', commitment, 'who', who)
return {'opened', epoch}
