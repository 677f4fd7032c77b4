import pg from 'pg'
import { sha256 } from '#src/domain/digest.ts'
import { newRefreshToken } from '#src/domain/refresh-token.ts'
import { caller, withBenchStack } from './bench-stack.ts'
import { openClient } from './client.ts'
import { measured, type Benchmark } from './measure.ts'
import { cpuMs, inWords, used } from './processes.ts'

/** What one address may ask for in a minute is two rounds. */
const rounds = 2
const sessions = 1_000
const connections = 256

/** A thousand sessions of two tenants that are all renewed at once; every one must get the one next token. */
export const refresh: Benchmark = {
  names: ['refresh_1000'],
  targets: { refresh_1000: { atMost: 5 } },
  run: (say) =>
    withBenchStack({}, async (stack) => {
      await caller(stack)
      await caller(stack)
      const owner = new pg.Client({ connectionString: stack.ownerUrl })
      await owner.connect()
      const client = openClient(connections)
      const seconds: number[] = []
      for (let round = 0; round < rounds; round++) {
        const tokens = Array.from({ length: sessions }, newRefreshToken)
        await open(owner, await Promise.all(tokens.map((token) => sha256(token))), round)
        const before = await cpuMs(stack.worker?.pid())
        const sentMs = Date.now()
        const answers = await Promise.all(
          tokens.map((refreshToken) =>
            client.ask('POST', `${stack.url}/v1/sessions/refresh`, 'none', { refreshToken }),
          ),
        )
        const ms = Date.now() - sentMs
        seconds.push(ms / 1000)
        const next = new Set(
          answers.map((answer) => (JSON.parse(answer) as { refreshToken: string }).refreshToken),
        )
        const { rows } = await owner.query<{ live: number; spent: number }>(
          `select count(*) filter (where rotated_at is null and revoked_at is null)::int as live,
             count(*) filter (where rotated_at is not null and revoked_at is null)::int as spent
           from sessions where family_id like $1`,
          [`ses_bench${round}_%`],
        )
        const [row] = rows
        if (next.size !== sessions || row?.live !== sessions || row.spent !== sessions)
          throw new Error(`${next.size} tokens, ${row?.live} live and ${row?.spent} spent`)
        say(`${sessions} sessions renewed after ${ms} ms, all right`)
        say(`of one: ${inWords(used(before, await cpuMs(stack.worker?.pid())), sessions)}`)
      }
      client.close()
      await owner.end()
      return { refresh_1000: measured(seconds, 's') }
    }),
}

/** Sessions as sign-ins would have made them: a thousand of those would cost minutes of hashing. */
async function open(owner: pg.Client, hashes: readonly string[], round: number): Promise<void> {
  await owner.query(
    `insert into sessions (tenant_id, id, user_id, family_id, token_hash, expires_at, amr)
     select m.tenant_id, 'ses_bench' || $2 || '_' || h.n, m.user_id, 'ses_bench' || $2 || '_' || h.n, h.hash,
       now() + interval '1 day', '{pwd}'
     from unnest($1::text[]) with ordinality h(hash, n)
     join (select tenant_id, user_id, row_number() over (order by tenant_id) - 1 as i from memberships) m on m.i = h.n % 2`,
    [hashes, String(round)],
  )
}
