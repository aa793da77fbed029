-- settle: give what budget there is to the lowest ranks at the door, and forget what is over.
-- `claimed` are the chunks of all numbers given; a number beyond them waits for the next call.
-- KEYS: line, journal, door, sessions, stays, ended, next, recall, next_seen, next_who, evicted, claimed...
-- ARGV: interval_us, burst, total_active_users, hold_ms, lapse_ms, recall_permille, paused, lapses, sweeps, candidates,
--   set_back_ms
-- RETURNS: {'settled', granted, next, recall, live, more, now_ms, admitted, tat_us} (the last as text)
local line, journal, door, sessions, stays, ended = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local next, recall, next_seen, next_who, evicted = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local interval_us, burst, total_active_users, hold_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lapse_ms, recall_permille, paused = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local lapses, sweeps, candidates, set_back_ms = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local CHUNK, FIRST_CHUNK = 65536, 12

local known = redis.call('HMGET', line, 'run', 'epoch', 'phase')
local state = redis.call('HMGET', door, 'last_ms', 'tat_us', 'recall_due', 'paused_ms', 'admitted')
local last_ms = tonumber(state[1] or 0)
-- a clock that was set back is believed here, and nowhere else at the door
local now = last_ms - now_ms > set_back_ms and now_ms or math.max(now_ms, last_ms)
local paused_ms = paused == '1' and now or math.min(tonumber(state[4] or 0), now)
-- a debt that this rate cannot make is written off: judged anew each time it would never grow less
local now_us = now * 1000
local tat_us = math.min(tonumber(state[2] or 0), now_us + interval_us * burst)
redis.call('HSET', door, 'last_ms', now, 'paused_ms', paused_ms, 'tat_us', string.format('%.0f', tat_us))
local text_now = string.format('%.0f', now)
for _, sid in ipairs(redis.call('ZRANGEBYSCORE', next_seen, '(' .. text_now, '+inf', 'LIMIT', 0, lapses)) do
  redis.call('ZADD', next_seen, now, sid)
end

local function forget(sid)
  redis.call('ZREM', next, sid)
  redis.call('ZREM', recall, sid)
  redis.call('ZREM', next_seen, sid)
  redis.call('HDEL', next_who, sid)
end

local over = redis.call('ZRANGEBYSCORE', sessions, '-inf', text_now, 'LIMIT', 0, sweeps)
for _, sid in ipairs(over) do
  redis.call('ZREM', sessions, sid)
  redis.call('HDEL', stays, sid)
end
local past = redis.call('ZRANGEBYSCORE', ended, '-inf', text_now, 'LIMIT', 0, sweeps)
for _, sid in ipairs(past) do
  redis.call('ZREM', ended, sid)
end
local lapsed = {}
if now >= paused_ms + lapse_ms then
  lapsed = redis.call('ZRANGEBYSCORE', next_seen, '-inf', string.format('%.0f', now - lapse_ms), 'LIMIT', 0, lapses)
  for _, sid in ipairs(lapsed) do
    forget(sid)
  end
end

local granted, looked_at = 0, 0
local due = tonumber(state[3] or 0)
local live = redis.call('ZCOUNT', sessions, '(' .. text_now, '+inf')
local open = (known[3] == 'serving' or known[3] == 'draining') and paused ~= '1'
while open and looked_at < candidates and live < total_active_users do
  if tat_us - interval_us * (burst - 1) > now_us then
    break
  end
  local turn, due_after = next, due
  if redis.call('ZCARD', next) == 0 then
    turn = recall
  elseif redis.call('ZCARD', recall) > 0 then
    due_after = due + recall_permille
    if due_after >= 1000 then
      turn, due_after = recall, due_after - 1000
    end
  end
  local sid = redis.call('ZRANGE', turn, 0, 0)[1]
  if not sid then
    break
  end
  looked_at = looked_at + 1
  local who = redis.call('HGET', next_who, sid)
  local seen_ms = tonumber(redis.call('ZSCORE', next_seen, sid) or 0)
  local number, rank, lane = string.match(who or '', '^(%d+) (%d+) (%l+)$')
  if not number or now >= math.max(seen_ms, paused_ms) + lapse_ms then
    forget(sid)
  else
    local chunk = KEYS[FIRST_CHUNK + math.floor(number / CHUNK)]
    if not chunk then
      break
    end
    if redis.call('GETBIT', chunk, number % CHUNK) == 1 or redis.call('HEXISTS', evicted, number) == 1 then
      forget(sid)
    else
      forget(sid)
      due = due_after
      tat_us = math.max(now_us, tat_us) + interval_us
      live = live + 1
      granted = granted + 1
      local until_ms = now + hold_ms
      redis.call('SETBIT', chunk, number % CHUNK, 1)
      redis.call('ZADD', sessions, until_ms, sid)
      redis.call('HSET', stays, sid, string.format('%s %s %s', text_now, known[1], lane))
      redis.call('XADD', journal, '*', 'kind', 'admitted', 'at_ms', now, 'run', known[1], 'epoch', known[2],
        'number', number, 'rank', rank, 'lane', lane, 'sid', sid, 'until_ms', until_ms)
    end
  end
end
if granted > 0 then
  redis.call('HSET', door, 'tat_us', string.format('%.0f', tat_us), 'recall_due', due)
  redis.call('HINCRBY', door, 'admitted', granted)
end
local more = #over >= sweeps or #past >= sweeps or #lapsed >= lapses or looked_at >= candidates
return {'settled', granted, redis.call('ZCARD', next), redis.call('ZCARD', recall), live, more and 1 or 0, now,
  tonumber(state[5] or 0) + granted, string.format('%.0f', tat_us)}
