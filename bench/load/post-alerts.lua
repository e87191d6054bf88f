-- POSTs an alert with one decision about another address each time, as CrowdSec's own cscli does. Arguments: first address as a number.
local number

function init(args)
  number = tonumber(args[1])
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

local body = '[{"capacity":0,"decisions":[{"duration":"24h","origin":"cscli","scenario":"bench","scope":"Ip","type":"ban","value":"%s"}],' ..
  '"events":[],"events_count":1,"leakspeed":"0","message":"bench","scenario":"bench","scenario_hash":"","scenario_version":"","simulated":false,' ..
  '"source":{"ip":"%s","scope":"Ip","value":"%s"},"start_at":"2026-01-01T00:00:00Z","stop_at":"2026-01-01T00:00:00Z"}]'

function request()
  number = number + 1
  local n = number
  local address = string.format("%d.%d.%d.%d", 11 + math.floor(n / 16777216), math.floor(n / 65536) % 256, math.floor(n / 256) % 256, n % 256)
  return wrk.format(nil, "/v1/alerts", nil, string.format(body, address, address, address))
end
