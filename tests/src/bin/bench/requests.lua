-- Requests for wrk that differ. Every one is made before the run, so that none costs anything while it lasts.
--   wrk --script requests.lua URL -- rotate FILE POSITION  each line of the file has a token, or a path and a token
--   wrk --script requests.lua URL -- body BYTES            POST with so many bytes
local requests, position = {}, 0

function init(args)
   if args[1] == "body" then
      local headers = { ["Content-Type"] = "application/octet-stream" }
      for name, value in pairs(wrk.headers) do headers[name] = value end
      requests[1] = wrk.format("POST", nil, headers, string.rep("x", tonumber(args[2])))
      return
   end
   for line in io.lines(args[2]) do
      local path, token = line:match("^(%S+) (%S+)$")
      local headers = { ["Host"] = "localhost", ["Authorization"] = "Bearer " .. (token or line) }
      requests[#requests + 1] = wrk.format("GET", path, headers)
   end
   -- What an earlier run has sent last must not be what this one sends first.
   position = tonumber(args[3]) % #requests
end

function request()
   position = position % #requests + 1
   return requests[position]
end
