-- hold: every request holds another group of seats, for another fan, under a key of its own, as the seat page does.
-- ARGV: origin, file of admissions (one a line), file of groups (a JSON list of seats a line), seed, event, ...

local origin, seed
local fans, groups, events = {}, {}, {}
local fan_at, group_at, event_at, key_at = 0, 0, 1, 0
local headers = { ['Content-Type'] = 'application/json', ['Accept'] = 'application/json',
  ['Sec-Fetch-Site'] = 'same-origin' }

local function lines(name)
  local found = {}
  for line in io.lines(name) do
    found[#found + 1] = line
  end
  return found
end

function init(args)
  origin, fans, groups, seed = args[1], lines(args[2]), lines(args[3]), args[4]
  for at = 5, #args do
    events[#events + 1] = args[at]
  end
  headers['Origin'] = origin
end

function request()
  group_at, key_at = group_at + 1, key_at + 1
  if group_at > #groups then
    group_at, event_at = 1, event_at + 1
  end
  if event_at > #events then
    -- every seat is held: what would come now measures refusals
    wrk.thread:stop()
    event_at = #events
  end
  fan_at = fan_at % #fans + 1
  headers['Authorization'] = 'Bearer ' .. fans[fan_at]
  headers['Idempotency-Key'] = seed .. '-' .. key_at
  return wrk.format('POST', '/api/events/' .. events[event_at] .. '/holds', headers, '{"seats":' .. groups[group_at] .. '}')
end
