-- Leases from one counter. The same arithmetic as the embedded owner's ledger, done where all adapters meet, and by the clock
-- that all of them share.
-- KEYS[1] the counter: fields n (number of the window), l (leased out of it), a (leased out of the next one already),
--         h:<holder> (who asked in this window)
-- ARGV    1 window number, 2 its start and 3 its end, 4 end of the next one (ms), 5 limit, 6 wanted,
--         7 window of what is unused, 8 how much is unused, 9 holder, 10 whether it is wanted of the next window (0 or 1)
-- returns window number, granted, number of holders, ms until the window starts, ms until it ends, how much is left
--         or 0, 0, -1, this clock's ms, 0, 0 when the window given is not the current one
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local number, starts, ends, next_ends = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if now < starts or now >= ends then
  return {0, 0, -1, now, 0, 0}
end
local limit, want, ahead = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[10] == '1'
local function text(amount) return string.format('%.0f', amount) end
local held = redis.call('HMGET', KEYS[1], 'n', 'l', 'a')
local current, leased, early = tonumber(held[1] or ''), tonumber(held[2] or ''), tonumber(held[3] or '')
if not current or not leased or not early then
  redis.call('DEL', KEYS[1])
  current, leased, early = number, 0, 0
elseif number > current then
  redis.call('DEL', KEYS[1])
  leased = number == current + 1 and early or 0
  current, early = number, 0
end
local of, unused = tonumber(ARGV[7]), tonumber(ARGV[8])
if of == current then
  leased = math.max(0, leased - unused)
elseif of == current + 1 then
  early = math.max(0, early - unused)
end
redis.call('HSET', KEYS[1], 'n', text(current), 'l', text(leased), 'a', text(early))
if want > 0 then
  redis.call('HSET', KEYS[1], 'h:' .. ARGV[9], 1)
end
local holders, granted = redis.call('HLEN', KEYS[1]) - 3, 0
if want > 0 then
  local left = math.max(0, limit - (ahead and early or leased))
  local fair = left
  if holders > 1 then
    fair = math.ceil(left / (2 * holders))
  end
  granted = math.min(want, fair)
  if ahead then
    redis.call('HSET', KEYS[1], 'a', text(early + granted))
  else
    redis.call('HSET', KEYS[1], 'l', text(leased + granted))
  end
end
-- It outlives the window that something may be leased of already; a minute more, for a clock that is set back.
redis.call('PEXPIRE', KEYS[1], text(next_ends - now + 60000))
local left = math.max(0, limit - (ahead and early or leased) - granted)
if ahead then
  return {current + 1, granted, holders, ends - now, next_ends - now, left}
end
return {current, granted, holders, 0, ends - now, left}
