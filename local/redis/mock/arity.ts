/** How many words a command has, its own among them; a negative number is the least. */
const table: Record<number, string> = {
  [-5]: 'xadd',
  [-4]: 'hmset hset lmpop xrange xrevrange xread xtrim zadd zdiffstore zinterstore zrange zrangebylex zrangebyscore zrevrange zrevrangebylex zrevrangebyscore zunionstore',
  [-3]: 'eval eval_ro evalsha evalsha_ro expire expireat hdel hmget hscan lpos lpush lpushx mset msetnx pexpire pexpireat rpush rpushx sadd sdiffstore set sinterstore smismember srem sscan sunionstore xdel zdiff zmscore zrem zscan',
  [-2]: 'bitcount client del exists getex hrandfield lpop mget object pubsub rpop scan script sdiff sinter spop srandmember sunion touch unlink zpopmax zpopmin',
  [-1]: 'command flushall flushdb info lolwut ping',
  1: 'dbsize randomkey time',
  2: 'decr echo expiretime get getdel hgetall hkeys hlen hvals incr keys llen persist pexpiretime pttl scard smembers strlen ttl type xlen zcard',
  3: 'append decrby getbit getset hexists hget hstrlen incrby incrbyfloat lindex publish rename renamenx rpoplpush setnx sismember zrank zrevrank zscore',
  4: 'getrange hincrby hincrbyfloat hsetnx lrange lrem lset ltrim psetex setbit setex setrange smove substr zcount zincrby zremrangebylex zremrangebyrank zremrangebyscore',
  5: 'linsert lmove',
}

const arities = new Map(
  Object.entries(table).flatMap(([words, verbs]) =>
    verbs.split(' ').map((verb) => [verb, Number(words)] as const),
  ),
)

/** What Redis says of a command before it looks at anything; undefined when nothing is wrong with its form. */
export function complaintOf(verb: string, words: readonly unknown[]): string | undefined {
  const arity = arities.get(verb)
  if (arity === undefined) {
    const args = words.slice(1, 4).map((word) => `'${String(word)}' `)
    return `ERR unknown command '${verb}', with args beginning with: ${args.join('')}`
  }
  const isRight = arity < 0 ? words.length >= -arity : words.length === arity
  return isRight ? undefined : `ERR wrong number of arguments for '${verb}' command`
}

const byType = {
  string: 'bitcount getbit setbit',
  hash: 'hdel hexists hgetall hkeys hlen hmset hrandfield hscan hset hsetnx hvals',
  list: 'lindex linsert llen lmove lpop lpos lpush lpushx lrange lrem lset ltrim rpop rpoplpush rpush rpushx',
  set: 'sadd scard sdiff sinter sismember smembers smismember smove spop srandmember srem sscan sunion',
  zset: 'zadd zcard zcount zincrby zmscore zpopmax zpopmin zrange zrangebylex zrangebyscore zrank zrem zremrangebyrank zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore',
} as const

/** The type that the first key of a command has, where ioredis-mock does not look. */
export const typesWanted = new Map(
  Object.entries(byType).flatMap(([type, verbs]) => verbs.split(' ').map((verb) => [verb, type] as const)),
)

/** What may leave an empty list, set or hash behind. */
export const removing = new Set(
  'hdel lmove lpop lrem ltrim rpop rpoplpush sdiffstore sinterstore smove spop srem sunionstore zdiffstore zinterstore zpopmax zpopmin zrem zremrangebyrank zremrangebyscore zunionstore'.split(
    ' ',
  ),
)

/** What answers with a word that is no data. */
export const withStatus = new Set('flushall flushdb hmset lset ltrim'.split(' '))
