import { Client, neon, neonConfig, type NeonQueryFunction } from '@neondatabase/serverless'
import { sql, type SQL } from 'drizzle-orm'
import { drizzle, type NeonHttpDatabase } from 'drizzle-orm/neon-http'
import type { BatchItem } from 'drizzle-orm/batch'
import { accessOfJobs, narrowed } from '#src/domain/access.ts'
import type { RequestOrigin } from '#src/domain/audit.ts'
import type { TenantId } from '#src/domain/id.ts'
import { claimSigner } from './claim.ts'
import { BulkSession } from './bulk-session.ts'
import { sqlStateOf } from './failure.ts'
import * as schema from './schema.ts'
import { statement, type Statement, type StatementResult } from './statement.ts'

export type Sql = NeonHttpDatabase<typeof schema>
type Query = BatchItem<'pg'>
/** What each query of a batch gives: a builder its rows, `execute` its result. */
type Results<T extends readonly Query[]> = {
  [K in keyof T]: T[K] extends { _: { result: infer R } } ? R : never
}

/** One tenant's way to the database: everything it runs carries the tenant's signed claim. */
export type TenantDb = {
  readonly tenantId: TenantId
  /** Builds queries. They reach the tenant's rows only through `run`; awaited alone they see nothing. */
  readonly sql: Sql
  /** One HTTP transaction: the claim first, then the queries in order. */
  run<const T extends readonly Query[]>(...queries: T): Promise<Results<T>>
  /** Calls one function of the schema app and gives what it returned. */
  call<R>(call: SQL, signal?: AbortSignal): Promise<R>
  /** One HTTP transaction of plain statements: what compiled transforms, rules and SQL steps need. */
  statements(statements: readonly Statement[], signal?: AbortSignal): Promise<StatementResult[]>
  /** A WebSocket session for bulk work; the caller closes it. */
  bulk(): Promise<BulkSession>
  /** Has the next transaction begin with this statement, which stops it when the actor may not do what is to come. */
  demand(first: SQL): void
  /**
   * From now on only what grants allow is seen. Policies show a row to whoever may change it, so that they can find it; a
   * list for somebody who may not read all of them shows those alone that they were given.
   */
  onlyGranted(): void
  /** Has every transaction from now on end with this statement; none any more without one. */
  ending(last: SQL | undefined): void
  /** The statement that shows the claim, for a transaction of `Database.open` that tells of this tenant as well. */
  claim(): Promise<SQL>
}

export type Database = {
  /** Without a claim: for functions of the schema app that look across tenants. */
  readonly sql: Sql
  open<const T extends readonly Query[]>(...queries: T): Promise<Results<T>>
  /**
   * @param of.request what audit entries say of where a change came from
   * @param of.access what accessOf() makes of the actor; everything when it is left out, which is for our own work
   */
  tenant(tenantId: TenantId, actor: string, of?: { request?: RequestOrigin; access?: string }): TenantDb
}

export function connectDatabase(options: {
  url: string
  /** host:port of a local gateway speaking Neon's protocols without TLS. */
  gateway?: string | undefined
  claimKey: string
  now: () => Date
}): Database {
  if (options.gateway) useGateway(options.gateway)
  const client = neon(options.url, { fullResults: true })
  const db: Sql = drizzle(neon(options.url), { schema })
  const sign = claimSigner(options.claimKey, options.now)
  return {
    sql: db,
    open: (...queries) => batch(db, queries),
    tenant: (tenantId, actor, of) =>
      tenantDb(
        options.url,
        client,
        db,
        tenantId,
        (isNarrow) => sign(tenantId, actor, isNarrow ? narrowed(of?.access ?? accessOfJobs) : of?.access),
        of?.request ? JSON.stringify(of.request) : '',
      ),
  }
}

const claimText = `select set_config('app.claim', $1, true), set_config('app.request', $2, true)`

function tenantDb(
  url: string,
  client: NeonQueryFunction<false, true>,
  db: Sql,
  tenantId: TenantId,
  signAs: (isNarrow: boolean) => Promise<string>,
  told: string,
): TenantDb {
  let demands: SQL[] = []
  let isNarrow = false
  const sign = () => signAs(isNarrow)
  let last: SQL | undefined
  const claim = async () =>
    sql`select set_config('app.claim', ${await sign()}, true), set_config('app.request', ${told}, true)`
  /** What this one transaction has around it; demands hold for it alone, however it ends. */
  const around = () => {
    const found = { first: demands, last: last ? [last] : [] }
    demands = []
    return found
  }
  return {
    tenantId,
    sql: db,
    run: (...queries) => {
      const { first, last } = around()
      return inTurn(async (turn) => {
        const before = [await claim(), ...turn, ...first].map((one) => db.execute(one))
        const after = last.map((one) => db.execute(one))
        const results: unknown[] = await batch(db, [...before, ...queries, ...after])
        return results.slice(before.length, before.length + queries.length) as Results<typeof queries>
      })
    },
    async call<R>(call: SQL, signal?: AbortSignal) {
      const [result] = await this.statements([statement(sql`select ${call} as value`)], signal)
      return result?.rows[0]?.['value'] as R
    },
    statements: (statements, signal) => {
      const { first, last } = around()
      return inTurn(async (turn) => {
        const before = [
          { text: claimText, params: [await sign(), told] },
          ...[...turn, ...first].map(statement),
        ]
        const results = await client.transaction(
          [...before, ...statements, ...last.map(statement)].map(({ text, params }) =>
            client.query(text, [...(params ?? [])]),
          ),
          signal ? { fetchOptions: { signal } } : {},
        )
        return results.slice(before.length, before.length + statements.length) as unknown as StatementResult[]
      })
    },
    bulk: () => BulkSession.open(() => new Client(url), sign),
    demand: (first) => void demands.push(first),
    onlyGranted: () => {
      isNarrow = true
    },
    ending: (statement) => void (last = statement),
    claim,
  }
}

/**
 * Runs a transaction; once more where a start in it could not be counted exactly beside others that were being started
 * (WE004, see app.count_run). It then waits for its turn first, before it holds anything that others may wait for.
 */
async function inTurn<T>(transaction: (turn: readonly SQL[]) => Promise<T>): Promise<T> {
  try {
    return await transaction([])
  } catch (error) {
    if (sqlStateOf(error) !== 'WE004') throw error
    return transaction([sql`select app.take_turn()`])
  }
}

const batch = async <T extends readonly Query[]>(db: Sql, queries: T): Promise<Results<T>> => {
  const [first, ...rest] = queries
  const results: readonly unknown[] = first ? await db.batch([first, ...rest]) : []
  return results as Results<T>
}

/** The driver's settings are global to it; the gateway is for one laptop, so that is no harm. */
function useGateway(gateway: string): void {
  neonConfig.fetchEndpoint = () => `http://${gateway}/sql`
  neonConfig.wsProxy = () => `${gateway}/v2`
  neonConfig.useSecureWebSocket = false
}
