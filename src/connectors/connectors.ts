import type * as z from 'zod'
import type { ConnectionId, TenantId } from '#src/domain/id.ts'
import type { Storage } from '#src/storage/storage.ts'
import type { CheckResult, Reader, ReadOptions, Stream } from './connector.ts'
import { checkFiles, discoverFiles, filesConfig, filesSecret } from './files/connection.ts'
import { openFile } from './files/files.ts'
import { fileKey, filesPrefix } from './files/key.ts'
import { askPostgres } from './postgres/ask.ts'
import { checkConnection as checkPostgres } from './postgres/check.ts'
import { postgresConfig, postgresSecret, type PostgresConnection } from './postgres/config.ts'
import { discoverStreams } from './postgres/discover.ts'
import { dropStage, openLoad as openPostgresLoad, type Load } from './postgres/load.ts'
import type { LoadSpec } from './postgres/plan.ts'
import { openReader as openPostgresReader } from './postgres/read.ts'
import { PostgresSession } from './postgres/session.ts'
import { StepFailure } from '#src/domain/failure.ts'

export type { Load }

export type ConnectionKind = 'postgres' | 'files'

/** A connection with its secret opened, and what its connector may use of the outside. */
export type OpenConnection = {
  tenantId: TenantId
  id: ConnectionId
  name: string
  kind: ConnectionKind
  config: Record<string, unknown>
  secret: Record<string, unknown>
  storage: Storage
  allowPrivateHosts: boolean
  signal: AbortSignal
}

export type ConnectionSpec = {
  config: z.ZodType
  secret: z.ZodType
  /** The members of the configuration that say who gets to see the secret, and how safely. */
  secretGoesBy: readonly string[]
}

const specs: Record<ConnectionKind, ConnectionSpec> = {
  postgres: { config: postgresConfig, secret: postgresSecret, secretGoesBy: ['host', 'port', 'user', 'ssl'] },
  files: { config: filesConfig, secret: filesSecret, secretGoesBy: [] },
}

/** What the configuration and the secret of each kind of connection must look like. */
export const connectionSpec = (kind: ConnectionKind): ConnectionSpec => specs[kind]

export async function checkConnection(connection: OpenConnection): Promise<CheckResult> {
  switch (connection.kind) {
    case 'postgres':
      return checkPostgres(toPostgres(connection), optionsOf(connection))
    case 'files':
      return checkFiles(connection.storage, folderOf(connection))
  }
}

export async function discover(connection: OpenConnection): Promise<Stream[]> {
  switch (connection.kind) {
    case 'postgres': {
      const session = await PostgresSession.open(toPostgres(connection), optionsOf(connection))
      try {
        return await discoverStreams(session)
      } finally {
        await session.close()
      }
    }
    case 'files':
      return discoverFiles(connection.storage, folderOf(connection), connection.signal)
  }
}

export async function openReader(connection: OpenConnection, options: ReadOptions): Promise<Reader> {
  switch (connection.kind) {
    case 'postgres':
      return openPostgresReader(toPostgres(connection), options, optionsOf(connection))
    case 'files':
      return openFile(connection.storage, fileKey(connection.tenantId, connection.id, options.stream), {
        ...options,
        name: options.stream,
      })
  }
}

export async function openLoad(connection: OpenConnection, spec: LoadSpec): Promise<Load> {
  switch (connection.kind) {
    case 'postgres':
      return openPostgresLoad(toPostgres(connection), spec, optionsOf(connection))
    case 'files':
      throw new StepFailure(
        'not_a_destination',
        `Connection "${connection.name}" holds files; nothing can be loaded into it.`,
      )
  }
}

/** The first row that a SELECT gives there. */
export async function askOnce(
  connection: OpenConnection,
  select: string,
): Promise<Record<string, unknown> | undefined> {
  switch (connection.kind) {
    case 'postgres':
      return askPostgres(toPostgres(connection), select, optionsOf(connection))
    case 'files':
      throw new StepFailure(
        'not_a_database',
        `Connection "${connection.name}" holds files; no SQL can be asked there.`,
      )
  }
}

/** The object that is oldest among those below the prefix that came since then; its name is the connection's own. */
export async function firstObjectSince(
  connection: OpenConnection,
  prefix: string,
  since: Date,
): Promise<{ name: string; bytes: number; changedAt: Date } | undefined> {
  if (connection.kind !== 'files')
    throw new StepFailure('not_files', `Connection "${connection.name}" holds no files to wait for.`)
  const folder = folderOf(connection)
  let first: { name: string; bytes: number; changedAt: Date } | undefined
  let cursor: string | undefined
  for (let page = 0; page < mostPages; page++) {
    const listed = await connection.storage.list(folder.tenantId, folder.prefix + prefix, cursor)
    for (const { key, bytes, changedAt } of listed.objects) {
      if (changedAt < since || (first && changedAt >= first.changedAt)) continue
      first = { name: key.slice(`tenants/${folder.tenantId}/${folder.prefix}`.length), bytes, changedAt }
    }
    cursor = listed.cursor
    if (cursor === undefined) return first
  }
  throw new StepFailure(
    'too_many_objects',
    `Connection "${connection.name}" has more than ${mostPages},000 files below "${prefix}"; wait for a narrower prefix.`,
  )
}

/** A look at a bucket may take so many pages of 1,000 names. */
const mostPages = 20

/** Takes away what a finished load left in its destination. */
export async function dropLoadStage(
  connection: OpenConnection,
  load: { loadId: string; table: string },
): Promise<void> {
  if (connection.kind === 'postgres') await dropStage(toPostgres(connection), load, optionsOf(connection))
}

const folderOf = ({ tenantId, id }: OpenConnection) => ({ tenantId, prefix: filesPrefix(id) })

/** Both were parsed by the connection's spec before they were stored. */
const toPostgres = ({ name, config, secret }: OpenConnection): PostgresConnection => ({
  name,
  config: config as PostgresConnection['config'],
  secret: secret as PostgresConnection['secret'],
})

const optionsOf = ({ allowPrivateHosts, signal }: OpenConnection) => ({
  allowPrivate: allowPrivateHosts,
  signal,
})
