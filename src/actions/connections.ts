import { checkConnection as checkOpened, connectionSpec, discover, type OpenConnection } from '#src/connectors/connectors.ts'
import type { CheckResult, Stream } from '#src/connectors/connector.ts'
import {
  deleteConnection as deleteConnectionRow,
  getConnection,
  insertConnection,
  listConnections,
  updateConnection as updateConnectionRow,
  type Connection,
  type ConnectionKind,
} from '#src/db/connections.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { newId, type ConnectionId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { Problem } from '#src/domain/problem.ts'
import { openConnection } from '#src/engine/open-connection.ts'
import { allow, type Context } from './context.ts'

/** How long a check or a look at the tables may take before we say so. */
const patienceMs = 30_000

export async function createConnection(
  ctx: Context,
  input: { name: string; kind: ConnectionKind; config: unknown; secret?: unknown },
): Promise<Connection> {
  allow(ctx, 'connections:write')
  const spec = connectionSpec(input.kind)
  const config = parsed('config', spec.config, input.config)
  const secret = parsed('secret', spec.secret, input.secret ?? {})
  const id = newId('connection', ctx.now())
  return insertConnection(ctx.tenantDb, {
    id,
    name: input.name,
    kind: input.kind,
    config,
    secret: await sealed(ctx, id, secret),
  })
}

export async function updateConnection(
  ctx: Context,
  id: ConnectionId,
  expected: readonly number[] | 'any',
  change: { name?: string | undefined; config?: unknown; secret?: unknown },
): Promise<Connection> {
  allow(ctx, 'connections:write')
  const current = await getConnection(ctx.tenantDb, id)
  if (expected !== 'any' && !expected.includes(current.version)) throw stale()
  const spec = connectionSpec(current.kind)
  const secret = change.secret === undefined ? undefined : await sealed(ctx, id, parsed('secret', spec.secret, change.secret))
  const changed = await updateConnectionRow(ctx.tenantDb, id, current.version, {
    ...(change.name === undefined ? {} : { name: change.name }),
    ...(change.config === undefined
      ? {}
      : { config: parsed('config', spec.config, { ...current.config, ...asObject(change.config) }) }),
    ...(secret ? { secret } : {}),
  })
  if (!changed) throw stale()
  return changed
}

const stale = () => new Problem('precondition_failed', 'It has changed since you read it; read it again.')
const asObject = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {})

type Schema = { safeParse(value: unknown): { success: true; data: unknown } | { success: false; error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] } } }

function parsed(where: 'config' | 'secret', schema: Schema, value: unknown): Record<string, unknown> {
  const result = schema.safeParse(value)
  if (result.success) return result.data as Record<string, unknown>
  const fields = result.error.issues.map((issue) => ({ path: [where, ...issue.path.map(String)].join('.'), message: issue.message }))
  throw new Problem('invalid', 'Some fields are not valid.', { fields })
}

const sealed = async (ctx: Context, id: ConnectionId, secret: Record<string, unknown>): Promise<string | null> =>
  Object.keys(secret).length === 0 ? null : ctx.services.secrets.seal(ctx.tenantDb, id, JSON.stringify(secret))

export async function readConnection(ctx: Context, id: ConnectionId): Promise<Connection> {
  allow(ctx, 'connections:read')
  return getConnection(ctx.tenantDb, id)
}

export async function readConnections(ctx: Context, page: PageRequest): Promise<Page<Connection>> {
  allow(ctx, 'connections:read')
  const after = page.after?.[0] as ConnectionId | undefined
  return toPage(await listConnections(ctx.tenantDb, after, page.limit), page.limit, (connection) => [connection.id])
}

export async function deleteConnection(ctx: Context, id: ConnectionId): Promise<void> {
  allow(ctx, 'connections:write')
  await deleteConnectionRow(ctx.tenantDb, id)
}

/** Tries the connection now; a failure is an answer, not an error. */
export async function checkConnection(ctx: Context, id: ConnectionId): Promise<CheckResult> {
  allow(ctx, 'connections:read')
  return checkOpened(await opened(ctx, id))
}

/** Its streams, with their columns and types. */
export async function readStreams(ctx: Context, id: ConnectionId): Promise<Stream[]> {
  allow(ctx, 'connections:read')
  try {
    return await discover(await opened(ctx, id))
  } catch (error) {
    if (error instanceof StepFailure) throw new Problem('invalid', error.message, { cause: error })
    throw error
  }
}

export async function opened(ctx: Context, id: ConnectionId): Promise<OpenConnection> {
  const connection = await getConnection(ctx.tenantDb, id)
  return openConnection(ctx.services, ctx.tenantDb, connection, AbortSignal.timeout(patienceMs))
}
