-- carry: keep a sealed ticket for whoever brings its code.
-- KEYS: line, parcel
-- ARGV: run, contents, keep_ms, slack_ms
-- RETURNS: {'kept', until_ms} | {'stale'}
local line, parcel = KEYS[1], KEYS[2]
local run, contents, keep_ms, slack_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

if redis.call('HGET', line, 'run') ~= run then
  return {'stale'}
end
local old = redis.call('HMGET', parcel, 'run', 'sealed', 'until_ms', 'taken')
if old[1] then
  if old[1] == run and old[2] == contents and old[4] == '0' and now_ms < tonumber(old[3]) then
    return {'kept', tonumber(old[3])}
  end
  return {'stale'}
end
local until_ms = now_ms + keep_ms
redis.call('HSET', parcel, 'run', run, 'sealed', contents, 'until_ms', until_ms, 'taken', 0, 'taker', '')
-- the time to live only clears away what the rule has long refused
redis.call('PEXPIRE', parcel, keep_ms + slack_ms)
return {'kept', until_ms}
