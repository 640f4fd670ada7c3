"""What runs on the server, where it takes several steps that nobody may come between, or one trip for many.

``layout`` says what the scripts know of the value of a key.
"""

from __future__ import annotations

from praval_storage.providers.redis.connection import Script
from praval_storage.providers.redis.layout import HEAD, MARK

_OURS = f"#head == {HEAD} and string.sub(head, 1, {len(MARK)}) == '{MARK.decode()}'"

READ = Script("""
-- ARGV[1]: of longer strings only so many bytes. Two replies whatever the number of keys, because a driver
-- spends most of its time on the number of replies: for each key the bytes sent, the bytes there are
-- (-1: no string, the name of its type is sent) and the milliseconds left; then all that is sent in a row.
local most = tonumber(ARGV[1])
local figures, values = {}, {}
for i, key in ipairs(KEYS) do
  local value = redis.pcall('GETRANGE', key, 0, most - 1)
  local size = -1
  if type(value) == 'table' then
    value = redis.call('TYPE', key).ok
  else
    size = #value
    if size == most then size = redis.call('STRLEN', key) end
  end
  values[i] = value
  figures[i] = string.format('%.0f %.0f %.0f', #value, size, redis.call('PTTL', key))
end
return {table.concat(figures, ' '), table.concat(values)}
""")

STORE = Script(f"""
-- ARGV: '1' to overwrite; milliseconds to live of each key, '0' = for ever ('' = all); '1' for each key whose
-- created_at is given ('' = none); then the values. Replies only where there is something to say: the place
-- of the key, and its created_at if it was there, '' if it must not be overwritten, or '-' and an error.
local function set(key, value, lifetime, ...)
  if lifetime and lifetime ~= '0' then return redis.pcall('SET', key, value, 'PX', lifetime, ...) end
  return redis.pcall('SET', key, value, ...)
end
local lifetimes, notes = {{}}, {{}}
for lifetime in string.gmatch(ARGV[2], '%d+') do lifetimes[#lifetimes + 1] = lifetime end
for i, key in ipairs(KEYS) do
  local value, note = ARGV[i + 3], nil
  local done = set(key, value, lifetimes[i], 'NX')
  if not done and ARGV[1] ~= '1' then
    note = ''
  elseif not done then
    if string.sub(ARGV[3], i, i) ~= '1' then
      local head = redis.pcall('GETRANGE', key, 0, {HEAD - 1})
      if type(head) == 'string' and {_OURS} then
        value = head .. string.sub(value, {HEAD + 1})
        note = string.sub(head, {len(MARK) + 1})
      end
    end
    done = set(key, value, lifetimes[i])
  end
  if done and done.err then note = '-' .. done.err end
  if note then
    notes[#notes + 1] = i
    notes[#notes + 1] = note
  end
end
return notes
""")

REMOVE = Script("""
local removed = {}
for i, key in ipairs(KEYS) do removed[i] = redis.call('UNLINK', key) end
return table.concat(removed)
""")

SWAP = Script("""
-- ARGV[1] is replaced by ARGV[2], with what is left of its time to live.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local left = redis.call('PTTL', KEYS[1])
if left > 0 then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', string.format('%.0f', left))
else
  redis.call('SET', KEYS[1], ARGV[2])
end
return 1
""")

INCREMENT = Script(f"""
-- ARGV: the number to add; the time; the value of a key that is not there. Replies with the sum, or with
-- 'type' or 'range' when there is none. Lua has doubles: integers are exact below 2^53.
local value = redis.call('GET', KEYS[1])
if not value then
  redis.call('SET', KEYS[1], ARGV[3])
  return ARGV[1]
end
local created, expiry, metadata_span, types, metadata, data = string.match(value,
  '^{MARK.decode()}([^"]+)","updated_at":"[^"]+","version":"%x+","size":%d+(,"expires_at":[^,]+),' ..
  '"format":"json","encoding":"json","spans":%[%d+,(%d+)%],"types":(.-),"metadata":(.*),' ..
  '"data":(%-?%d[%d.eE+-]*)}}$')
-- How some floats are kept, which stay floats.
if types ~= 'null' and types ~= '{{"":"double"}}' and types ~= '{{"":"-0.0"}}' then return 'type' end
local sum = tonumber(data) + tonumber(ARGV[1])
local text
if string.find(data .. ARGV[1], '[.eE]') then
  if sum ~= sum or sum == math.huge or sum == -math.huge then return 'range' end
  for digits = 15, 17 do
    text = string.format('%.' .. digits .. 'g', sum)
    if tonumber(text) == sum then break end
  end
  if not string.find(text, '[.e]') then text = text .. '.0' end
else
  if math.max(math.abs(sum), math.abs(tonumber(data)), math.abs(tonumber(ARGV[1]))) >= 2^53 then
    return 'range'
  end
  text = string.format('%.0f', sum)
end
local fresh = '{MARK.decode()}' .. created .. '","updated_at":"' .. ARGV[2] .. '","version":"' ..
  string.sub(redis.sha1hex(text), 1, 16) .. '","size":' .. #text .. expiry ..
  ',"format":"json","encoding":"json","spans":[4,' .. metadata_span .. '],"types":null,"metadata":' ..
  metadata .. ',"data":' .. text .. '}}'
local left = redis.call('PTTL', KEYS[1])
if left > 0 then
  redis.call('SET', KEYS[1], fresh, 'PX', string.format('%.0f', left))
else
  redis.call('SET', KEYS[1], fresh)
end
return text
""")
