-- Writes what passes between the enforcer and the backend into Envoy's log. A header whose name hints at a secret is
-- masked, and so is the query; bodies are written as they are, up to a limit.
local SECRETS = {
  "auth", "token", "key", "secret", "password", "cookie", "credential", "jwt", "assertion", "signature", "session", "cert",
}
local PATHS = { [":path"] = true, ["referer"] = true, ["location"] = true, ["x-envoy-original-path"] = true }
local LIMIT = 16384

-- One line stays one line, whatever a client sends.
local function plain(text)
  return (string.gsub(text, "%c", function(character)
    return string.format("\\x%02x", string.byte(character))
  end))
end

local function shown(name, value)
  if PATHS[name] then
    return (string.gsub(value, "%?.*", "?***"))
  end
  for _, word in ipairs(SECRETS) do
    if string.find(name, word, 1, true) then
      return "***"
    end
  end
  return value
end

local function fields(handle, arrow, what, map)
  for name, value in pairs(map) do
    handle:logInfo("[wirelog] " .. arrow .. " " .. what .. " " .. arrow .. " " .. plain(name .. ": " .. shown(name, value)))
  end
end

local function message(handle, arrow, direction)
  if HEADERS then
    fields(handle, arrow, direction .. " headers", handle:headers())
  end
  if BODY then
    local left = LIMIT
    for chunk in handle:bodyChunks() do
      local length = math.min(chunk:length(), left)
      if length > 0 then
        handle:logInfo("[wirelog] " .. arrow .. " " .. direction .. " body " .. arrow .. " " .. plain(chunk:getBytes(0, length)))
      end
      left = left - length
    end
  end
  if TRAILERS then
    local trailers = handle:trailers()
    if trailers ~= nil then
      fields(handle, arrow, direction .. " trailers", trailers)
    end
  end
end

function envoy_on_request(handle)
  message(handle, ">>", "request")
end

function envoy_on_response(handle)
  message(handle, "<<", "response")
end
