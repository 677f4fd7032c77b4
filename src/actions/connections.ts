import type { ConnectionSpec, OpenConnection } from '#src/connectors/connectors.ts'
import { filesPrefix } from '#src/connectors/files/key.ts'
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
import { openConnectionAgain } from '#src/db/control.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { fieldProblems } from '#src/domain/field-problem.ts'
import { newId, type ConnectionId, type ProjectId } from '#src/domain/id.ts'
import { mergePatch } from '#src/domain/merge-patch.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { Problem } from '#src/domain/problem.ts'
import { allow, allowIn, type Context } from './context.ts'
import { sendWakes } from './control.ts'
import { outside } from './outside.ts'
import { trial } from './trials.ts'

/** How long a check or a look at the tables may take before we say so. */
const patienceMs = 30_000

/** Loaded when somebody asks: a Worker starts in half the time without what reads files and speaks to databases. */
const connectors = () => import('#src/connectors/connectors.ts')

export async function createConnection(
  ctx: Context,
  input: {
    name: string
    kind: ConnectionKind
    config: unknown
    secret?: unknown
    concurrency?: number | null | undefined
    projectId?: ProjectId | undefined
  },
): Promise<Connection> {
  const projectId = allowIn(ctx, 'connections:write', input.projectId)
  const spec = (await connectors()).connectionSpec(input.kind)
  const config = parsed('config', spec.config, input.config)
  const secret = parsed('secret', spec.secret, input.secret ?? {})
  const id = newId('connection', ctx.now())
  return insertConnection(ctx.tenantDb, {
    id,
    name: input.name,
    kind: input.kind,
    config,
    secret: await sealed(ctx, id, secret),
    concurrency: input.concurrency ?? null,
    projectId: projectId ?? null,
  })
}

/** Merges the change into what is there (RFC 7396); the secret, which nobody can see, is replaced as a whole. */
export async function updateConnection(
  ctx: Context,
  id: ConnectionId,
  expected: readonly number[] | 'any',
  change: {
    name?: string | undefined
    config?: unknown
    secret?: unknown
    concurrency?: number | null | undefined
  },
): Promise<Connection> {
  allow(ctx, 'connections:write', { kind: 'connection', id })
  const current = await getConnection(ctx.tenantDb, id)
  if (expected !== 'any' && !expected.includes(current.version)) throw stale()
  const spec = (await connectors()).connectionSpec(current.kind)
  const config =
    change.config === undefined
      ? undefined
      : parsed('config', spec.config, mergePatch(current.config, change.config) ?? {})
  if (config && current.secret !== null && change.secret === undefined) refuseRedirect(spec, current, config)
  const secret =
    change.secret === undefined
      ? undefined
      : await sealed(ctx, id, parsed('secret', spec.secret, mergePatch({}, change.secret) ?? {}))
  const changed = await updateConnectionRow(ctx.tenantDb, id, current.version, {
    ...(change.name === undefined ? {} : { name: change.name }),
    ...(config ? { config } : {}),
    ...(secret === undefined ? {} : { secret }),
    ...(change.concurrency === undefined ? {} : { concurrency: change.concurrency }),
  })
  if (!changed) throw stale()
  if (change.concurrency !== undefined)
    sendWakes(ctx, (await openConnectionAgain(ctx.tenantDb, id, false)).wakes)
  return changed
}

/** Who may write a connection may not read its secret, so they must not have it sent to a place of their choice either. */
function refuseRedirect(spec: ConnectionSpec, current: Connection, config: Record<string, unknown>): void {
  const moved = spec.secretGoesBy.filter((key) => config[key] !== current.config[key])
  if (moved.length === 0) return
  const fields = [{ path: 'secret', message: `must be given again when ${moved.join(' or ')} changes` }]
  throw new Problem('invalid', 'The stored secret is only for where it was given for.', { fields })
}

const stale = () => new Problem('precondition_failed', 'It has changed since you read it; read it again.')

function parsed(
  where: 'config' | 'secret',
  schema: ConnectionSpec['config'],
  value: unknown,
): Record<string, unknown> {
  const result = schema.safeParse(value)
  if (result.success) return result.data as Record<string, unknown>
  throw new Problem('invalid', 'Some fields are not valid.', {
    fields: fieldProblems(result.error.issues, where),
  })
}

const sealed = async (
  ctx: Context,
  id: ConnectionId,
  secret: Record<string, unknown>,
): Promise<string | null> =>
  Object.keys(secret).length === 0
    ? null
    : ctx.services.secrets.seal(ctx.tenantDb, id, JSON.stringify(secret))

export async function readConnection(ctx: Context, id: ConnectionId): Promise<Connection> {
  allow(ctx, 'connections:read', { kind: 'connection', id })
  return getConnection(ctx.tenantDb, id)
}

export async function readConnections(
  ctx: Context,
  page: PageRequest,
  project?: ProjectId,
): Promise<Page<Connection>> {
  allow(ctx, 'connections:read')
  const after = page.after?.[0] as ConnectionId | undefined
  return toPage(await listConnections(ctx.tenantDb, after, page.limit, project), page.limit, (connection) => [
    connection.id,
  ])
}

/** Deletes a connection that nothing needs: no pipeline, and no file that would be left where nobody can reach it. */
export async function deleteConnection(
  ctx: Context,
  id: ConnectionId,
  expected: readonly number[] | 'any',
): Promise<void> {
  allow(ctx, 'connections:write', { kind: 'connection', id })
  const { kind } = await getConnection(ctx.tenantDb, id)
  if (kind === 'files') {
    const { objects } = await outside(ctx.services.storage.list(ctx.tenantId, filesPrefix(id), undefined, 1))
    if (objects.length > 0) throw new Problem('conflict', 'This connection holds files; delete them first.')
  }
  if ((await deleteConnectionRow(ctx.tenantDb, id, expected)) === 'changed') throw stale()
}

/** Tries the connection now; a failure is an answer, not an error. */
export async function checkConnection(ctx: Context, id: ConnectionId): Promise<CheckResult> {
  allow(ctx, 'connections:read', { kind: 'connection', id })
  return trial(ctx, { verb: 'check', kind: 'connection', table: 'connections', id }, async () => {
    try {
      return await (await connectors()).checkConnection(await opened(ctx, id))
    } catch (error) {
      if (error instanceof StepFailure) return { ok: false, code: error.code, detail: error.message }
      throw error
    }
  })
}

/** Its streams, with their columns and types. */
export async function readStreams(ctx: Context, id: ConnectionId): Promise<Stream[]> {
  allow(ctx, 'connections:read', { kind: 'connection', id })
  const { discover } = await connectors()
  return outside(opened(ctx, id).then(discover))
}

async function opened(ctx: Context, id: ConnectionId): Promise<OpenConnection> {
  const connection = await getConnection(ctx.tenantDb, id)
  const { openConnection } = await import('#src/engine/open-connection.ts')
  return openConnection(ctx.services, ctx.tenantDb, connection, AbortSignal.timeout(patienceMs))
}
