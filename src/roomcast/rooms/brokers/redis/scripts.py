"""What Redis does in one step: the Lua scripts, and how a room is written in Redis.

Of a room there are, all in one slot of a cluster:

- `ROOM:o`, a string: the epoch, the life of the data that it belongs to, the newest offset, the bytes of all
  publications so far, what these two were when the stream was trimmed last, and when the expiry was set last.
- `ROOM:s`, a stream of what is kept: the ID is `OFFSET-0`; `h` has the bytes of all until then, the time in
  milliseconds, and the token of the publication; `p` is the payload.
- `ROOM:k:KEY`, a string: the position of the publication with that key.
- `ROOM:p`, a hash of who is present: by member, the node that it is on and what is told about it.
- the channel `ROOM`, which carries `OFFSET EPOCH TOKEN PAYLOAD`; what is not kept has an empty offset.

The stream is trimmed now and then, and holds up to an eighth more than the room keeps until it is read. The life
of the data is a number that grows whenever something may have been lost of it; a room that has a smaller one
than the script is given goes on counting in a new epoch. It is the last argument of every script.
"""

from __future__ import annotations

from hashlib import sha1
from typing import NamedTuple

IDLE_MS = 24 * 3600 * 1000
"""For how many milliseconds a room's order outlives its history."""


class Script(NamedTuple):
    """A Lua script, and the name by which Redis knows it."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> Script:
        """Name a script as Redis does."""
        return cls(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


_ROOM = f"""
local life = ARGV[#ARGV]
local told = redis.call('GET', KEYS[1])
local epoch, lived, offset, bytes, trimmed, trimmed_bytes, renewed
if told then
    epoch, lived, offset, bytes, trimmed, trimmed_bytes, renewed =
        string.match(told, '^(%w+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
end
if not epoch then
    offset, bytes, trimmed, trimmed_bytes, renewed = 0, 0, 0, 0, '0'
end

local function clock()
    local now = redis.call('TIME')
    return now[1] * 1000 + math.floor(now[2] / 1000)
end

local function write(...)
    redis.call('SET', KEYS[1],
        string.format('%s %s %d %d %d %d %d', epoch, lived, offset, bytes, trimmed, trimmed_bytes, renewed), ...)
end

local function begin(fresh)
    if epoch and (lived == life or tonumber(lived) > tonumber(life)) then return end
    local known = epoch
    epoch, lived = fresh, life
    if known then
        write('KEEPTTL')
    else
        write('PX', {IDLE_MS})
        redis.call('DEL', KEYS[2])
    end
end

-- Drops the oldest entries that are over a bound: they are those up to some offset.
local function trim(most, most_bytes, age, now)
    if offset - most > 0 then redis.call('XTRIM', KEYS[2], 'MINID', string.format('%d', offset - most + 1)) end
    local chunk = 1
    while true do
        local entries = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', chunk)
        for index, entry in ipairs(entries) do
            local after, at = string.match(entry[2][2], '^(%d+) (%d+)')
            if bytes - after + #entry[2][4] <= most_bytes and (age == '' or at + age > now) then
                if index > 1 then redis.call('XTRIM', KEYS[2], 'MINID', entry[1]) end
                return
            end
        end
        if #entries == 0 then return end
        redis.call('XTRIM', KEYS[2], 'MINID', string.format('%d', string.match(entries[#entries][1], '^%d+') + 1))
        chunk = math.min(chunk * 2, 64)
    end
end
"""

_PUBLISH = (
    _ROOM
    + f"""
-- KEYS: the room, its stream, and the keys of the publications that have one.
-- ARGV: channel, the retention's size, bytes and age in ms ('' for ever), how many publications; of each the
-- payload, the token, whether it is kept (1), which of KEYS is its key (0 for none), and for how many ms that is
-- known; then how many ms ago they may have been published already ('' if not), life. Returns their positions.
local channel, most, most_bytes, age = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local count = tonumber(ARGV[5])
local ago, now = ARGV[#ARGV - 1], clock()
begin(ARGV[7])

-- Those that are in the stream already, where they are sent a second time.
local there = {{}}
if ago ~= '' then
    local last, more = '+', true
    while more do
        local entries = redis.call('XREVRANGE', KEYS[2], last, '-', 'COUNT', 100)
        more = #entries == 100
        for _, entry in ipairs(entries) do
            local at, token = string.match(entry[2][2], '^%d+ (%d+) (.*)$')
            there[token] = string.match(entry[1], '^%d+') .. ' ' .. epoch
            last = '(' .. entry[1]
            if at + ago < now then
                more = false
                break
            end
        end
    end
end

local positions, fresh, totals = {{}}, {{}}, {{}}
local before, adds = offset, false
for index = 1, count do
    local first = 1 + 5 * index
    local key = KEYS[tonumber(ARGV[first + 3])]
    local position = there[ARGV[first + 1]] or key and (there[key] or redis.call('GET', key))
    if not position then
        fresh[index] = true
        if ARGV[first + 2] == '1' then
            offset = offset + 1
            bytes = bytes + #ARGV[first]
            totals[index] = bytes
            adds = adds or most > 0 and #ARGV[first] <= most_bytes
        end
        position = string.format('%d %s', offset, epoch)
        if key then there[key] = position end
    end
    positions[index] = position
end

local trims = offset - trimmed > most / 8 or bytes - trimmed_bytes > most_bytes / 8
if offset - before > 0 then
    if trims then trimmed, trimmed_bytes = offset, bytes end
    if age == '' then
        renewed = '0'
        write()
    elseif adds and now - renewed <= age / 16 and now - renewed >= 0 then
        write('KEEPTTL')
    else
        renewed = adds and now or '0'
        write('PX', string.format('%d', age * 1.125 + {IDLE_MS}))
    end
end
for index = 1, count do
    if fresh[index] then
        local first = 1 + 5 * index
        local payload, token, total = ARGV[first], ARGV[first + 1], totals[index]
        if not total then
            redis.call('PUBLISH', channel, ' ' .. epoch .. ' ' .. token .. ' ' .. payload)
        else
            if most > 0 and #payload <= most_bytes then
                local head = string.format('%d %d %s', total, now, token)
                local number = string.match(positions[index], '^%d+')
                redis.call('XADD', KEYS[2], number .. '-0', 'h', head, 'p', payload)
            end
            redis.call('PUBLISH', channel, positions[index] .. ' ' .. token .. ' ' .. payload)
        end
        local key = KEYS[tonumber(ARGV[first + 3])]
        if key then redis.call('SET', key, positions[index], 'PX', ARGV[first + 4]) end
    end
end
if adds then
    if age == '' then
        redis.call('PERSIST', KEYS[2])
    elseif renewed == now then
        redis.call('PEXPIRE', KEYS[2], string.format('%d', age * 1.125 + 1000))
    end
    if trims then trim(most, most_bytes, age, now) end
end
return positions
"""
)

_HISTORY = (
    _ROOM
    + """
-- KEYS: the room, its stream.
-- ARGV: fresh epoch, the retention's size, bytes and age in ms ('' for ever), the offset and the epoch to give
-- what is after, how many at the most, reversed (1) or not, life. Returns the newest offset, the epoch, how many
-- are kept, and the entries: all that are kept, where the epoch is another one.
begin(ARGV[1])
local entries
if ARGV[7] ~= '0' then trim(tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], clock()) end
local first = epoch == ARGV[6] and string.format('%d', ARGV[5] + 1) or '0'
if ARGV[7] == '0' then
    entries = {}
elseif ARGV[8] == '1' then
    entries = redis.call('XREVRANGE', KEYS[2], '+', first, 'COUNT', ARGV[7])
else
    entries = redis.call('XRANGE', KEYS[2], first, '+', 'COUNT', ARGV[7])
end
return {string.format('%d', offset), epoch, redis.call('XLEN', KEYS[2]), entries}
"""
)

LIFE = Script.of("""
-- Gives the life of the data of this server: a new one where something may have been lost of it.
-- KEYS: where it is kept. ARGV: the server's run, its replication's id and the one before, whether it keeps an
-- append-only file (1), whether somebody misses something (1).
local run, replication, before, append, missing = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5] == '1'
local was = redis.call('HMGET', KEYS[1], 'life', 'run', 'replication')
local promoted = string.find(before, '[^0]') ~= nil and (before == was[3] or run ~= was[2])
local intact = was[1] and not promoted and not missing and (run == was[2] or append)
local life = was[1]
if not intact then
    local now = redis.call('TIME')
    life = string.format('%d', math.max(now[1] * 1000 + math.floor(now[2] / 1000), (was[1] or 0) + 1))
end
if not intact or run ~= was[2] or replication ~= was[3] then
    redis.call('HSET', KEYS[1], 'life', life, 'run', run, 'replication', replication)
end
return life
""")
"""Finds out whether offsets could be given twice: see `life`."""

MISSED = Script.of("""
-- Says whether a publication that was there is not any more, though its room should have it.
-- KEYS: the room, its stream. ARGV: offset, epoch, token.
local epoch, offset = string.match(redis.call('GET', KEYS[1]) or '', '^(%w+) %d+ (%d+)')
if not epoch then return 1 end
if epoch ~= ARGV[2] then return 0 end
if tonumber(offset) < tonumber(ARGV[1]) then return 1 end
local entry = redis.call('XRANGE', KEYS[2], ARGV[1] .. '-0', ARGV[1] .. '-0')[1]
if not entry or string.match(entry[2][2], '([^ ]*)$') == ARGV[3] then return 0 end
return 1
""")
"""Looks for the last publication that a node knows of."""

RENEW = Script.of("""
-- Renews a node's lease, and gives the nodes whose lease is over.
-- KEYS: the leases. ARGV: node, for how many ms. Returns whether it had one, and the dead.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
local had = due and tonumber(due) > now
if had then redis.call('ZADD', KEYS[1], string.format('%d', now + ARGV[2]), ARGV[1]) end
return {had and 1 or 0, redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%d', now))}
""")
"""A lease that is over is not renewed: what belongs to it is being cleared away."""

BEGIN = Script.of("""
-- Begins a node's lease. KEYS: the leases. ARGV: node, for how many ms.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
return redis.call('ZADD', KEYS[1], string.format('%d', now + ARGV[2]), ARGV[1])
""")
"""Begins a node's lease."""

RESTORE = Script.of(f"""
-- Makes a room have just those members of a node that it is given.
-- KEYS: who is present. ARGV: earlier and present names of the node, how many names, then members and their
-- presence.
local names, count = {{}}, tonumber(ARGV[1])
for index = 2, count + 1 do names[ARGV[index]] = true end
local present = redis.call('HGETALL', KEYS[1])
for index = 1, #present, 2 do
    if names[string.match(present[index + 1], '^([^ ]*) ')] then redis.call('HDEL', KEYS[1], present[index]) end
end
for index = count + 2, #ARGV - 1, 2 do redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1]) end
redis.call('PEXPIRE', KEYS[1], {IDLE_MS})
return redis.status_reply('OK')
""")
"""Puts the presence of a node's members in a room right."""

FORGET = Script.of("""
-- Takes the members of a node that died out of a room, and gives what was told about them.
-- KEYS: who is present. ARGV: node.
local gone, present = {}, redis.call('HGETALL', KEYS[1])
for index = 1, #present, 2 do
    if string.match(present[index + 1], '^([^ ]*) ') == ARGV[1] then
        redis.call('HDEL', KEYS[1], present[index])
        gone[#gone + 1] = string.match(present[index + 1], '^[^ ]* (.*)$')
    end
end
return gone
""")
"""Each presence is given to one caller only, however many ask."""


REMEMBER = Script.of("""
-- Keeps the order of a room from expiring. KEYS: the room. ARGV: for how many ms at the least.
local left = redis.call('PTTL', KEYS[1])
if left >= 0 and left < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return left
""")
"""A room that has members is in use, also where nothing is said in it."""


class Scripts:
    """The scripts of one kind of Redis.

    Args:
        sharded: whether what is published in a slot stays with the servers of that slot, as in a cluster.
    """

    def __init__(self, *, sharded: bool) -> None:
        self.publish = Script.of(_PUBLISH.replace("'PUBLISH'", "'SPUBLISH'") if sharded else _PUBLISH)
        self.history = Script.of(_HISTORY)

    def all(self) -> tuple[Script, ...]:
        """Give all scripts, to be loaded."""
        return self.publish, self.history, LIFE, MISSED, RENEW, BEGIN, RESTORE, FORGET, REMEMBER
