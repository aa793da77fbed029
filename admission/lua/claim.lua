-- claim: let a called fan in, or keep the fan at the door by rank.
-- KEYS: line, leaves, journal, door, claimed, sessions, stays, ended, next, recall, next_seen, next_who, came, slowed,
--   evicted
-- ARGV: run, epoch, seed, number, rank, lane, leaf, leaf_offset, void, late, sid, cohort, interval_us, burst,
--   total_active_users, hold_ms, recall_permille, paused, checks
-- RETURNS: {'admitted', since_ms, until_ms} | {'again', since_ms, until_ms} | {'next', ahead} | {'waiting', ahead}
--   | {'paused', ahead} | {'check', way} | {'evicted'} | {'used'} | {'leaf-mismatch'} | {'run-over'} | {'stale'}
local line, leaves, journal, door, claimed, sessions, stays = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local ended, next, recall, next_seen, next_who, came = KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13]
local slowed, evicted = KEYS[14], KEYS[15]
local run, epoch, seed, number, rank, lane = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local leaf, leaf_offset, void, late, sid, cohort = ARGV[7], tonumber(ARGV[8]), ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local interval_us, burst, total_active_users = tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])
local hold_ms, recall_permille, paused = tonumber(ARGV[16]), tonumber(ARGV[17]), ARGV[18]
local checks = ARGV[19]
local CHUNK, LEAF = 65536, 16
local EMPTY = string.rep('\0', LEAF)

-- an older ticket still names the lane from before
local held_back = redis.call('HGET', slowed, number)
local way = held_back and string.match(held_back, '^%l[%l-]*')
if held_back and not way then
  lane = 'suspect'
end
local known = redis.call('HMGET', line, 'run', 'epoch', 'phase', 'serving:' .. lane, 'seed')
local state = redis.call('HMGET', door, 'last_ms', 'tat_us', 'recall_due', 'admitted')
local now = math.max(now_ms, tonumber(state[1] or 0))
if not known[1] then
  return {'stale'}
end
if known[1] ~= run then
  return {'run-over'}
end
if redis.call('HEXISTS', evicted, number) == 1 then
  return {'evicted'}
end
if tonumber(redis.call('ZSCORE', ended, sid) or 0) > now then
  return {'used'}
end
local held_ms = tonumber(redis.call('ZSCORE', sessions, sid) or 0)
if held_ms > now then
  local stay = redis.call('HGET', stays, sid)
  return {'again', stay and tonumber(string.match(stay, '^%d+')) or held_ms - hold_ms, held_ms}
end
local bit = number % CHUNK
local stored = redis.call('GETRANGE', leaves, leaf_offset, leaf_offset + LEAF - 1)
if stored == '' then
  stored = EMPTY
end
if redis.call('GETBIT', claimed, bit) == 1 then
  return {(stored == leaf or stored == EMPTY) and 'used' or 'leaf-mismatch'}
end
if known[3] == 'ended' then
  return {'run-over'}
end
if (known[5] or '') ~= seed then
  return {'stale'}
end
local waits = rank - tonumber(known[4] or 0)
if waits >= 0 or (known[3] ~= 'serving' and known[3] ~= 'draining') then
  return {'waiting', math.max(0, waits)}
end
-- called, and asked for a check that is still to be passed
if way and checks == '1' then
  return {'check', way}
end
if stored ~= leaf then
  if stored ~= EMPTY or void ~= '1' or epoch >= tonumber(known[2]) then
    return {'leaf-mismatch'}
  end
  if redis.call('STRLEN', leaves) == 0 then
    redis.call('SETRANGE', leaves, CHUNK * LEAF - 1, '\0')
  end
  redis.call('SETRANGE', leaves, leaf_offset, leaf)
end

local called, late_called = 0, 0
if redis.call('EXISTS', next, recall) > 0 then
  called, late_called = redis.call('ZCARD', next), redis.call('ZCARD', recall)
end
local class, is_new = late == '1' and recall or next, true
-- the first attempt decides the class
if called > 0 and redis.call('ZSCORE', next, sid) then
  class, is_new = next, false
elseif late_called > 0 and redis.call('ZSCORE', recall, sid) then
  class, is_new = recall, false
end
if is_new and cohort ~= '' then
  redis.call('HINCRBY', came, cohort, 1)
end
local now_us = now * 1000
local tat_us = math.min(tonumber(state[2] or 0), now_us + interval_us * burst)
local has_budget = paused ~= '1' and tat_us - interval_us * (burst - 1) <= now_us
  and (redis.call('ZCARD', sessions) < total_active_users
    or redis.call('ZCOUNT', sessions, string.format('(%.0f', now), '+inf') < total_active_users)
local its_rank, its_lane = string.format('%.0f', rank), lane
local due = tonumber(state[3] or 0)

-- with nobody else at the door, a turn is taken without standing there first
if called + late_called > 0 or not has_budget then
  if is_new then
    redis.call('ZADD', class, rank, sid)
    redis.call('HSET', next_who, sid, number .. ' ' .. its_rank .. ' ' .. lane)
  end
  redis.call('ZADD', next_seen, now, sid)
  redis.call('HSET', door, 'last_ms', now)
  if paused == '1' then
    redis.call('HSET', door, 'paused_ms', now)
    return {'paused', redis.call('ZRANK', class, sid)}
  end
  local turn = next
  if redis.call('ZCARD', next) == 0 then
    turn = recall
  elseif redis.call('ZCARD', recall) > 0 then
    due = due + recall_permille
    if due >= 1000 then
      turn, due = recall, due - 1000
    end
  end
  if redis.call('ZRANGE', turn, 0, 0)[1] ~= sid or not has_budget then
    return {'next', redis.call('ZRANK', class, sid)}
  end
  local _, rank_then, lane_then = string.match(redis.call('HGET', next_who, sid), '^(%d+) (%d+) (%l+)$')
  its_rank, its_lane = rank_then, lane_then
  redis.call('ZREM', class, sid)
  redis.call('ZREM', next_seen, sid)
  redis.call('HDEL', next_who, sid)
end

local until_ms = now + hold_ms
redis.call('SETBIT', claimed, bit, 1)
redis.call('ZADD', sessions, until_ms, sid)
redis.call('HSET', stays, sid, string.format('%.0f %s %s', now, run, its_lane))
redis.call('HSET', door, 'tat_us', string.format('%.0f', math.max(now_us, tat_us) + interval_us), 'recall_due', due,
  'last_ms', now, 'admitted', tonumber(state[4] or 0) + 1)
redis.call('XADD', journal, '*', 'kind', 'admitted', 'at_ms', now, 'run', run, 'epoch', known[2], 'number', number,
  'rank', its_rank, 'lane', its_lane, 'sid', sid, 'until_ms', until_ms)
return {'admitted', now, until_ms}
