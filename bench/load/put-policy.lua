-- PUTs the same policy with another limit each time. Arguments: path, port.
local path, port, number = nil, nil, 0

function init(args)
  path, port = args[1], args[2]
  wrk.method = "PUT"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  number = number + 1
  return wrk.format(nil, path, nil, string.format('{"ports":[%s],"maxConnections":%d,"ban":{"seconds":60}}', port, 10 + number % 2))
end
