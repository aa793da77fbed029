-- claim: every request is another called fan with its own ticket, each claimed once.
-- ARGV: path, origin, cookie name, file with one ticket a line

local path, origin, cookie
local tickets, at = {}, 0
local headers = { ['Content-Type'] = 'application/json', ['Accept'] = 'application/json',
  ['Sec-Fetch-Site'] = 'same-origin' }

function init(args)
  path, origin, cookie = args[1], args[2], args[3]
  headers['Origin'] = origin
  for line in io.lines(args[4]) do
    tickets[#tickets + 1] = line
  end
end

function request()
  at = at + 1
  if at > #tickets then
    wrk.thread:stop()
    at = #tickets
  end
  headers['Cookie'] = cookie .. '=' .. tickets[at]
  return wrk.format('POST', path, headers, '{"target":"/shop"}')
end
