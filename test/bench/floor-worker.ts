import { neon, neonConfig } from '@neondatabase/serverless'
import { Redis } from '@upstash/redis/cloudflare'

type Floor = {
  sha: string
  script: string
  keys: string[]
  args: string[]
  queries: { query: string; params: unknown[] }[]
}

/** The least that the same answer takes: the same one Redis call and the same one Neon call, and nothing else. */
let ready: { redis: Redis; sql: ReturnType<typeof neon<false, true>>; floor: Floor } | undefined

export default {
  async fetch(_: Request, env: Record<string, string>): Promise<Response> {
    ready ??= open(env)
    const { redis, sql, floor } = ready
    await redis.evalsha(floor.sha, floor.keys, floor.args)
    const results = await sql.transaction(floor.queries.map(({ query, params }) => sql.query(query, params)))
    return Response.json(results.at(-1)?.rows)
  },
}

function open(env: Record<string, string>) {
  neonConfig.fetchEndpoint = () => `http://${env['NEON_GATEWAY']}/sql`
  return {
    redis: new Redis({
      url: env['UPSTASH_REDIS_REST_URL'],
      token: env['UPSTASH_REDIS_REST_TOKEN'],
      automaticDeserialization: false,
      enableAutoPipelining: false,
      responseEncoding: false,
    }),
    sql: neon<false, true>(env['DATABASE_URL'] ?? '', { fullResults: true }),
    floor: JSON.parse(env['FLOOR'] ?? '') as Floor,
  }
}
