import type pg from 'pg'

export type Audited = {
  tenant_id: string
  action: string
  actor: string
  target_kind: string
  target_id: string | null
  target_name: string | null
  address: string | null
  user_agent: string | null
  credential: string | null
  details: Record<string, unknown>
}

/** What a request has left in the audit logs of all tenants, in its order. */
export const audited = async (owner: pg.Client, requestId: string | null): Promise<Audited[]> =>
  (await owner.query<Audited>('select * from audit_entries where request_id = $1 order by id', [requestId]))
    .rows
