-- Pops messages from queues and records each as unacked, in one script: a worker that dies in between has lost none.
-- The entries are those of kombu's Redis transport, so that each restores the messages of the other's workers.
-- KEYS: hash of unacked messages, its index by time, then the queues' lists, the first to be served in front.
-- ARGV: the most messages to pop, then the tags of acknowledged messages.
-- Returns for each message its list, itself and its tag; '' instead of a tag where it could not be recorded.
local UNACKED, INDEX = KEYS[1], KEYS[2]
local LIMIT = tonumber(ARGV[1])
local CLOCK = redis.call('TIME')
local NOW = CLOCK[1] + CLOCK[2] / 1000000 -- seconds since the epoch, on the one clock that all workers share
local MAX_BYTES = 1000000 -- a script that decodes more would hold up all other clients

for first = 2, #ARGV, 1000 do
  local last = math.min(first + 999, #ARGV)
  redis.call('ZREM', INDEX, unpack(ARGV, first, last))
  redis.call('HDEL', UNACKED, unpack(ARGV, first, last))
end

local function record(raw)
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

local messages = {}
for list = 3, #KEYS do
  while #messages < LIMIT do
    local raw = redis.call('RPOP', KEYS[list])
    if not raw then break end
    messages[#messages + 1] = { KEYS[list], raw, #raw <= MAX_BYTES and record(raw) or '' }
  end
end
return messages
