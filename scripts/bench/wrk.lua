-- Sends the requests of a file, in order and round and round: every contestant gets the same ones,
-- and wrk's own work is the same for each. A line is a path, or, after POST, a body.
local requests = {}
local at = 0

function init(args)
  for line in io.lines(args[1]) do
    if args[2] == "POST" then
      local headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
      requests[#requests + 1] = wrk.format("POST", "/add", headers, line)
    else
      requests[#requests + 1] = wrk.format("GET", line)
    end
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%f,"p50":%f,"p99":%f,"refused":%d,"lost":%d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
