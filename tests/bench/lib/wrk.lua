-- For wrk: "get" asks for the URL again and again; "add SEED" posts a new memory each time, of 31 words drawn as in prose.
-- At the end one line: requests, microseconds, p50, p99, max (us), answers that were no success, socket errors.
local words, n = {}, 0

function init(args)
  if args[1] == "add" then
    math.randomseed(tonumber(args[2]))
    for i = 1, 4000 do
      local w = {}
      for k = 1, 2 + math.random(7) do w[k] = string.char(96 + math.random(26)) end
      words[i] = table.concat(w)
    end
    wrk.method, wrk.headers["Content-Type"] = "POST", "application/json"
    request = add
  end
end

function add()
  local w = {}
  n = n + 1
  for i = 1, 31 do w[i] = words[math.floor(4000 ^ math.random())] end -- log-uniform: common words are common
  return wrk.format(nil, nil, nil, '{"content":"' .. table.concat(w, " ") .. " " .. n .. '"}')
end

function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format("figures %d %d %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), latency.max, e.status, e.connect + e.read + e.write + e.timeout))
end
