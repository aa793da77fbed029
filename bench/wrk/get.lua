-- get: the plain load, the same request again and again.
-- ARGV: path, then pairs of header name and value

function init(args)
  wrk.path = args[1]
  for at = 2, #args, 2 do
    wrk.headers[args[at]] = args[at + 1]
  end
end
