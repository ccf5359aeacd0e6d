-- Asks for links, or makes new ones. Every contestant gets the same requests in the same order, and
-- wrk's own work is the same for each. Arguments:
--   one          the first link, again and again
--   random N S   one of N at random, a sequence that S chooses
--   all N        each of N once; then it ends
--   new          makes links
local ffi = require("ffi")
ffi.cdef("int getpid(void); int kill(int pid, int signal);")
local SIGINT = 2

local kind, links
local head, tail
local at = 0

-- As keyOf in links.ts.
local function key(n)
  local text = ""
  repeat
    local digit = n % 36
    text = string.char(digit + (digit < 10 and 48 or 87)) .. text
    n = (n - digit) / 36
  until n == 0
  return "k" .. text
end

function init(args)
  kind, links = args[1], tonumber(args[2])
  math.randomseed(tonumber(args[3] or 1))
  local text
  if kind == "new" then
    local headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
    text = wrk.format("POST", "/add", headers, "url=https%3A%2F%2Fexample.com%2Fnew%2F@@@@@@@@")
  else
    text = wrk.format("GET", "/@@@@@@@@")
  end
  local first, last = text:find("@+")
  head, tail = text:sub(1, first - 1), text:sub(last + 1)
  if kind == "all" then
    local answered = 0
    response = function()
      answered = answered + 1
      -- Only a signal ends the wait of wrk's main thread.
      if answered == links then ffi.C.kill(ffi.C.getpid(), SIGINT) end
    end
  end
end

function request()
  if kind == "random" then return head .. key(math.random(0, links - 1)) .. tail end
  at = at + 1
  if kind == "new" then return head .. (10000000 + at) .. tail end
  -- The number is prime: it jumps about, and comes to every link before one comes again.
  if kind == "all" then return head .. key((at * 7919777) % links) .. tail end
  return head .. key(0) .. tail
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%f,"p50":%f,"p99":%f,"longest":%f,"refused":%d,"lost":%d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
