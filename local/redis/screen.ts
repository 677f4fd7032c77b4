import type { Command } from './engine.ts'
import { Failure } from './reply.ts'

const words = (text: string): Set<string> => new Set(text.split(/\s+/).filter(Boolean))

/** What needs a connection of its own, blocks it, or is the business of whoever runs the server. */
const refused = words(`
  acl asking auth bgrewriteaof bgsave blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin cluster config
  debug discard exec failover hello latency lastsave migrate module monitor move multi pfdebug pfselftest psubscribe
  psync punsubscribe quit readonly readwrite replconf replicaof reset restore-asking role save select shutdown slaveof
  slowlog ssubscribe subscribe sunsubscribe swapdb sync unsubscribe unwatch wait waitaof watch`)

/** `CLIENT REPLY OFF` and its like would silence the connection that all requests share. */
const clientWords = words('setinfo getname id info list')

/** What a read-only token may run: neither KEYS and SCAN, as with Upstash, nor scripts. */
const reading = words(`
  bitcount bitfield_ro bitpos dbsize echo exists expiretime geodist geohash geopos georadius_ro georadiusbymember_ro
  geosearch get getbit getrange hexists hget hgetall hkeys hlen hmget hrandfield hscan hstrlen hvals lcs lindex llen
  lpos lrange mget pexpiretime pfcount ping pttl randomkey scard sdiff sinter sintercard sismember smembers smismember
  srandmember sscan strlen substr sunion time touch ttl type xlen xpending xrange xread xrevrange zcard zcount zdiff
  zinter zintercard zlexcount zmscore zrandmember zrange zrangebylex zrangebyscore zrank zrevrange zrevrangebylex
  zrevrangebyscore zrevrank zscan zscore zunion`)

/** Why the REST API does not run this command; undefined when it does. */
export function screen(command: Command, isReadOnly: boolean): Failure | undefined {
  const verb = command[0].toLowerCase()
  if (isReadOnly && !reading.has(verb)) {
    return new Failure(`NOPERM this user has no permissions to run the '${verb}' command`)
  }
  const isRefused =
    refused.has(verb) ||
    (verb === 'client' && !clientWords.has(String(command[1]).toLowerCase())) ||
    (verb === 'script' && String(command[1]).toLowerCase() === 'debug') ||
    ((verb === 'xread' || verb === 'xreadgroup') && blocks(command))
  return isRefused
    ? new Failure(
        `ERR Command is not available: '${command[0].toUpperCase()}'. See https://upstash.com/docs/redis/overall/rediscompatibility for details`,
      )
    : undefined
}

function blocks(command: Command): boolean {
  const options = command.slice(1).map((word) => String(word).toLowerCase())
  const end = options.indexOf('streams')
  return options.slice(0, end === -1 ? undefined : end).includes('block')
}
