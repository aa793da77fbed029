-- spend: use a priority code up, for one place of the run. The same place may show it again.
-- KEYS: line, spent
-- ARGV: run, number, code
-- RETURNS: {'spent'} | {'again'} | {'taken'} | {'stale'}
local line, spent = KEYS[1], KEYS[2]
local run, number, code = ARGV[1], ARGV[2], ARGV[3]

local known = redis.call('HMGET', line, 'run', 'issued')
if known[1] ~= run or tonumber(number) >= tonumber(known[2] or 0) then
  return {'stale'}
end
local holder = redis.call('HGET', spent, code)
if holder then
  return {holder == number and 'again' or 'taken'}
end
redis.call('HSET', spent, code, number)
return {'spent'}
