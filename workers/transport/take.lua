-- Takes messages out of queues and notes them as held, in one move: a worker that dies in between has lost none.
-- What it notes is what kombu's Redis transport notes, so that each restores what the other held.
-- KEYS: unacked, its index, then the lists of the queues, those to be served first in front.
-- ARGV: how many messages at most, then the tags of messages that are done with.
-- Returns for each message its list, itself, and the tag under which it is noted: '' if it is none that can be.
local UNACKED, INDEX = KEYS[1], KEYS[2]
local MOST = tonumber(ARGV[1])
local CLOCK = redis.call('TIME')
local NOW = CLOCK[1] + CLOCK[2] / 1000000 -- seconds since the epoch, on the one clock that all workers share
local LONGEST = 1000000 -- bytes; reading more would hold up everybody else

for first = 2, #ARGV, 1000 do
  local last = math.min(first + 999, #ARGV)
  redis.call('ZREM', INDEX, unpack(ARGV, first, last))
  redis.call('HDEL', UNACKED, unpack(ARGV, first, last))
end

local function note(raw)
  local read, message = pcall(cjson.decode, raw)
  local properties = read and type(message) == 'table' and message.properties
  local delivery = type(properties) == 'table' and properties.delivery_info
  if type(delivery) ~= 'table' then return '' end
  local tag, exchange, key = properties.delivery_tag, delivery.exchange, delivery.routing_key
  if type(tag) ~= 'string' or type(exchange) ~= 'string' or type(key) ~= 'string' then return '' end
  redis.call('HSET', UNACKED, tag, '[' .. raw .. ', ' .. cjson.encode(exchange) .. ', ' .. cjson.encode(key) .. ']')
  redis.call('ZADD', INDEX, NOW, tag)
  return tag
end

local taken = {}
for list = 3, #KEYS do
  while #taken < MOST do
    local raw = redis.call('RPOP', KEYS[list])
    if not raw then break end
    taken[#taken + 1] = { KEYS[list], raw, #raw <= LONGEST and note(raw) or '' }
  end
end
return taken
