-- PUTs a ban of another address each time. Arguments: path prefix, first address as a number.
local path, number

function init(args)
  path, number = args[1], tonumber(args[2])
  wrk.method = "PUT"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = '{"reason":"scanner, OPS-123","ttlSeconds":86400}'
end

function request()
  number = number + 1
  local n = number
  return wrk.format(nil, string.format("%s%d.%d.%d.%d", path, 11 + math.floor(n / 16777216), math.floor(n / 65536) % 256, math.floor(n / 256) % 256, n % 256))
end
