import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { lockFolder } from './lock.ts'
import { startMail, type LocalMail } from './mail.ts'
import { migrate } from './migrate.ts'
import { startNeonGateway, type NeonGateway } from './neon-gateway.ts'
import { openPortBook, type PortBook, type Ports } from './port-book.ts'
import { startPostgres, type Postgres } from './postgres.ts'
import type { Durability } from './postgres/server-process.ts'
import { letWorkerIn, prepareDatabases, type Warehouse } from './prepare-databases.ts'
import { startQstash } from './qstash.ts'
import type { Real } from './real.ts'
import { startRedis } from './redis.ts'
import { startS3, type S3 } from './s3.ts'
import { loadSecrets, type Secrets } from './secrets.ts'
import { undoList, type Undo } from './undo.ts'

/** What runs here; a part that a real service replaces is not there. */
type Parts = {
  postgres: Postgres
  gateway?: NeonGateway
  redis?: Awaited<ReturnType<typeof startRedis>>
  qstash?: Awaited<ReturnType<typeof startQstash>>
  s3?: S3
  mail?: LocalMail
}

export type Services = {
  dir: string
  /** The record of src/env.ts but for PUBLIC_URL, which is the Worker's. */
  env: Record<string, string>
  parts: Parts
  ports: PortBook
  /** Signs in to Weir's database as its owner. */
  ownerUrl: string
  /** A second database with a login of its own: a place for pipelines to load into. */
  warehouse: Warehouse
  stop: () => Promise<void>
}

export type ServicesOptions = {
  /** Where all state is kept. */
  dir: string
  ports?: Ports
  real?: Real
  /** One line for each part when it is ready. */
  log?: (line: string) => void
  /** One line for each mail. */
  onMail?: (line: string) => void
  /** Ends a start that is under way. */
  signal?: AbortSignal
  /** What the database's commits must outlive; a power cut when it is left out. */
  durability?: Durability
  /** What makeSeed() made, for the database to begin with. */
  seed?: string
}

/** Everything that the Worker leans on, migrated and ready; ended again when one part cannot start. */
export async function startServices(options: ServicesOptions): Promise<Services> {
  const dir = resolve(options.dir)
  await mkdir(dir, { recursive: true })
  const undo = undoList()
  try {
    undo.add(await lockFolder(dir))
    return await startAll(dir, options, undo)
  } catch (cause) {
    await undo.run().catch(() => undefined)
    throw cause
  }
}

async function startAll(dir: string, options: ServicesOptions, undo: Undo): Promise<Services> {
  const { real = {}, log = () => undefined } = options
  const secrets = await loadSecrets(dir)
  const ports = await openPortBook(dir, options.ports)
  const start = async <T extends { stop(): Promise<unknown> }>(
    name: string,
    starting: Promise<T>,
  ): Promise<T> => {
    const part = await starting
    undo.add(() => part.stop())
    options.signal?.throwIfAborted()
    log(`${name} is ready`)
    return part
  }

  const postgresPort = await ports.take('postgres')
  const postgres = await start(
    'PostgreSQL',
    startPostgres({
      dir: join(dir, 'postgres'),
      port: postgresPort,
      durability: options.durability ?? 'power-cut',
      seed: options.seed,
    }),
  )
  const parts: Parts = { postgres }
  if (!real.database) {
    const port = await ports.take('gateway')
    parts.gateway = await start('The Neon gateway', startNeonGateway({ postgres, port }))
  }
  if (!real.redis) {
    const port = await ports.take('redis')
    parts.redis = await start(
      'Redis',
      startRedis({ dir: join(dir, 'redis'), port, token: secrets.redisToken }),
    )
  }
  if (!real.qstash) {
    const starting = startQstash({
      dir: join(dir, 'qstash'),
      port: await ports.take('qstash'),
      token: secrets.qstashToken,
      currentSigningKey: secrets.qstashCurrentKey,
      nextSigningKey: secrets.qstashNextKey,
    })
    parts.qstash = await start('QStash', starting)
  }
  if (!real.s3) {
    const { s3AccessKeyId: accessKeyId, s3SecretAccessKey: secretAccessKey } = secrets
    const port = await ports.take('s3')
    const starting = startS3({ dir: join(dir, 's3'), port, bucket: 'weir', accessKeyId, secretAccessKey })
    parts.s3 = await start('Object storage', starting)
  }
  if (!real.mail) {
    const port = await ports.take('mail')
    const starting = startMail({ dir, port, token: secrets.mailToken, log: options.onMail })
    parts.mail = await start('The mail service', starting)
  }

  const { warehouse } = await prepareDatabases(postgres, secrets)
  const ownerUrl = real.database?.ownerUrl ?? postgres.superuserUrl('weir')
  const appPassword = real.database
    ? decodeURIComponent(new URL(real.database.url).password)
    : secrets.appPassword
  const claimKey = real.database?.claimKey ?? secrets.claimKey
  const { applied } = await migrate({ ownerUrl, appPassword, claimKeys: [claimKey] })
  if (!real.database) await letWorkerIn(postgres)
  options.signal?.throwIfAborted()
  log(applied.length ? `Migrated: ${applied.join(', ')}` : 'The database is at the newest migration')

  return { dir, env: envOf(parts, real, secrets), parts, ports, ownerUrl, warehouse, stop: undo.run }
}

function envOf(
  { postgres, gateway, redis, qstash, s3, mail }: Parts,
  real: Real,
  secrets: Secrets,
): Record<string, string> {
  const bucket = real.s3 ?? s3
  const signing = real.qstash ?? {
    currentSigningKey: secrets.qstashCurrentKey,
    nextSigningKey: secrets.qstashNextKey,
  }
  return {
    ENVIRONMENT: 'local',
    ALLOW_PRIVATE_HOSTS: 'true',
    DATABASE_URL:
      real.database?.url ??
      `postgresql://weir_app:${secrets.appPassword}@${postgres.host}:${postgres.port}/weir`,
    ...(gateway ? { NEON_GATEWAY: gateway.host } : {}),
    UPSTASH_REDIS_REST_URL: (real.redis ?? redis)?.url ?? '',
    UPSTASH_REDIS_REST_TOKEN: real.redis?.token ?? secrets.redisToken,
    QSTASH_URL: (real.qstash ?? qstash)?.url ?? '',
    QSTASH_TOKEN: real.qstash?.token ?? secrets.qstashToken,
    QSTASH_CURRENT_SIGNING_KEY: signing.currentSigningKey,
    QSTASH_NEXT_SIGNING_KEY: signing.nextSigningKey,
    S3_ENDPOINT: bucket?.endpoint ?? '',
    S3_BUCKET: bucket?.bucket ?? '',
    S3_REGION: bucket?.region ?? '',
    S3_ACCESS_KEY_ID: bucket?.accessKeyId ?? '',
    S3_SECRET_ACCESS_KEY: bucket?.secretAccessKey ?? '',
    MAIL_URL: (real.mail ?? mail)?.url ?? '',
    MAIL_TOKEN: real.mail?.token ?? secrets.mailToken,
    MAIL_FROM: real.mail?.from ?? 'Weir <weir@local.test>',
    PASSWORD_RANGE_URL: 'off',
    CLAIM_KEY: real.database?.claimKey ?? secrets.claimKey,
    MASTER_KEY: secrets.masterKey,
    TOKEN_KEY: secrets.tokenKey,
  }
}
