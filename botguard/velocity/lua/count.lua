-- count: note acts of subjects, or only look, and say how many each has in its window and how long one more must wait.
-- Rows are independent and played in their order; the same subject may stand in several.
-- KEYS: subjects...
-- ARGV: set_back_ms, row...
-- RETURNS: {'counted', acts, wait_ms, ...}
local set_back_ms = tonumber(ARGV[1])

local now_us = now_ms * 1000
local answer = {'counted'}
for place, subject in ipairs(KEYS) do
  local row = place * 6 - 4
  local interval_us, burst = tonumber(ARGV[row]), tonumber(ARGV[row + 1])
  local slot_ms, slots = tonumber(ARGV[row + 2]), tonumber(ARGV[row + 3])
  local kept_ms, acts = ARGV[row + 4], ARGV[row + 5] == '1'
  local running = math.floor(now_ms / slot_ms)
  local last = math.floor((now_ms + set_back_ms) / slot_ms)

  local held, tat_us, total, gone = redis.call('HGETALL', subject), 0, 0, {}
  for at = 1, #held, 2 do
    local slot = tonumber(held[at])
    if not slot then
      tat_us = tonumber(held[at + 1])
    elseif running - slots < slot and slot <= last then
      total = total + held[at + 1]
    else
      gone[#gone + 1] = held[at]
    end
  end

  tat_us = math.min(tat_us, now_us + interval_us * burst)
  local wait_ms = math.ceil((math.max(now_us, tat_us - interval_us * (burst - 1)) - now_us) / 1000)
  if acts then
    total = total + 1
    if wait_ms == 0 then
      tat_us = math.max(now_us, tat_us) + interval_us
    end
    if #gone > 0 then
      redis.call('HDEL', subject, unpack(gone))
    end
    redis.call('HINCRBY', subject, string.format('%.0f', running), 1)
    redis.call('HSET', subject, 't', string.format('%.0f', tat_us))
    redis.call('PEXPIRE', subject, kept_ms)
  end
  answer[#answer + 1] = total
  answer[#answer + 1] = wait_ms
end
return answer
