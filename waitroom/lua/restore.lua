-- restore: put a lost or rolled-back line back, in a new epoch, unless somebody already did.
-- KEYS: line, journal
-- ARGV: seen_epoch, run, epoch, phase, opening, issued, void, verified, standard, suspect, joined_verified, joined_suspect, frozen, root, seed, commitment, proof, opened_ms, why
-- RETURNS: {'done', epoch} | {'stale', epoch}
local line, journal = KEYS[1], KEYS[2]
local seen_epoch, run, epoch, phase, opening, issued, void, verified, standard, suspect, joined_verified, joined_suspect, frozen, root, seed, commitment, proof, opened_ms, why = unpack(ARGV, 1, 19)

local old = redis.call('HMGET', line, 'epoch', 'last_ms')
local current = tonumber(old[1]) or 0
if current ~= tonumber(seen_epoch) or tonumber(epoch) <= current then
  return {'stale', current}
end
local now = math.max(now_ms, tonumber(old[2]) or 0)
redis.call('HSET', line, 'run', run, 'epoch', epoch, 'version', 1, 'phase', phase, 'opening', opening,
  'issued', issued, 'void', void, 'serving:verified', verified, 'serving:standard', standard,
  'serving:suspect', suspect, 'count:verified', joined_verified, 'count:suspect', joined_suspect,
  'frozen', frozen, 'root', root, 'seed', seed, 'commitment', commitment, 'proof', proof,
  'opened_ms', opened_ms,
  'phase_ms', now, 'last_ms', now, 'tick_slot', 0, 'shown_issued', issued, 'shown_ms', now, 'plan_per_minute', 0)
redis.call('XADD', journal, '*', 'kind', 'restored', 'at_ms', now, 'run', run, 'epoch', epoch, 'opening', opening,
  'phase', phase, 'issued', issued, 'void', void, 'verified', verified, 'standard', standard, 'suspect', suspect,
  'frozen', frozen, 'root', root, 'seed', seed, 'commitment', commitment, 'proof', proof,
  'why', why)
return {'done', tonumber(epoch)}
