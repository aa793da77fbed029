-- guess: judge a number that somebody typed.
-- KEYS: pending
-- ARGV: run, digest, most
-- RETURNS: {'right', tag} | {'wrong', left} | {'gone'}
local pending = KEYS[1]
local run, digest, most = ARGV[1], ARGV[2], tonumber(ARGV[3])

local old = redis.call('HMGET', pending, 'run', 'tag', 'digest', 'until_ms', 'wrong')
if old[1] ~= run or now_ms >= tonumber(old[4]) or tonumber(old[5]) >= most then
  return {'gone'}
end
if old[3] == digest then
  return {'right', old[2]}
end
return {'wrong', most - redis.call('HINCRBY', pending, 'wrong', 1)}
