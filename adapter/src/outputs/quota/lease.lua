-- Leases from one counter. The same arithmetic as the embedded owner's ledger, done where all adapters meet.
-- KEYS[1] the counter: fields n (number of the window), l (leased out), h:<holder> (who asked in this window)
-- ARGV    window number, limit, wanted, window of what is unused, how much is unused, life in ms, holder
-- returns window number, granted, number of holders
local number, limit, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.call('HMGET', KEYS[1], 'n', 'l')
local current, leased = tonumber(held[1] or ''), tonumber(held[2] or '')
if not current or not leased or number > current then
  redis.call('DEL', KEYS[1])
  current, leased = number, 0
end
if tonumber(ARGV[4]) == current then
  leased = math.max(0, leased - tonumber(ARGV[5]))
end
local granted = 0
redis.call('HSET', KEYS[1], 'n', current, 'l', leased)
if want > 0 then
  redis.call('HSET', KEYS[1], 'h:' .. ARGV[7], 1)
end
local holders = redis.call('HLEN', KEYS[1]) - 2
if want > 0 then
  local left = math.max(0, limit - leased)
  local fair = left
  if holders > 1 then
    fair = math.ceil(left / (2 * holders))
  end
  granted = math.min(want, fair)
  redis.call('HSET', KEYS[1], 'l', string.format('%.0f', leased + granted))
end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return {current, granted, holders}
