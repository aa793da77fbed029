-- join: every request is a new fan, sent exactly as the waiting page sends it.
-- ARGV: path, origin, seed

local path, origin, seed
local body = '{"target":"/shop"}'

function init(args)
  path, origin, seed = args[1], args[2], tonumber(args[3])
  math.randomseed(seed)
end

function request()
  -- 32 hex digits: a key that no other fan uses, so that no join is answered as a repeat.
  local key = string.format('%08x%08x%08x%08x', math.random(0, 0x7fffffff), math.random(0, 0x7fffffff),
    math.random(0, 0x7fffffff), math.random(0, 0x7fffffff))
  return wrk.format('POST', path, {
    ['Content-Type'] = 'application/json', ['Accept'] = 'application/json',
    ['Origin'] = origin, ['Sec-Fetch-Site'] = 'same-origin', ['Idempotency-Key'] = key,
  }, body)
end
