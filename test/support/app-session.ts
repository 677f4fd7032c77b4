import pg from 'pg'
import { inject } from 'vitest'
import { claimSigner } from '#src/db/claim.ts'
import { accessOf } from '#src/domain/access.ts'
import type { TenantId } from '#src/domain/id.ts'
import { actorName, type Actor } from '#src/domain/role.ts'

/** A session with the Worker's own login, straight to the server. */
export type AppSession = {
  /** One statement under the claim of that actor, always taken back: rows that it reached, or the SQLSTATE that it ended with. */
  attempt(tenantId: TenantId, actor: Actor, text: string, values?: unknown[]): Promise<number | string>
  end(): Promise<void>
}

export async function appSession(): Promise<AppSession> {
  const url = new URL(inject('ownerUrl'))
  const { username, password, pathname } = new URL(inject('env')['DATABASE_URL'] ?? '')
  const client = new pg.Client({
    connectionString: Object.assign(url, { username, password, pathname }).href,
  })
  await client.connect()
  const sign = claimSigner(inject('env')['CLAIM_KEY'] ?? '', () => new Date())
  return {
    async attempt(tenantId, actor, text, values = []) {
      await client.query('begin')
      try {
        const claim = await sign(tenantId, actorName(actor), accessOf(actor))
        await client.query(`select set_config('app.claim', $1, true)`, [claim])
        return (await client.query(text, values)).rowCount ?? 0
      } catch (error) {
        if (error instanceof pg.DatabaseError && error.code !== undefined) return error.code
        throw error
      } finally {
        await client.query('rollback')
      }
    },
    end: () => client.end(),
  }
}
