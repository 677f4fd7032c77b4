import * as z from 'zod'

const prefixes = {
  tenant: 'ten',
  user: 'usr',
  session: 'ses',
  apiKey: 'key',
  connection: 'con',
  dataset: 'ds',
  datasetVersion: 'dsv',
  pipeline: 'pip',
  pipelineVersion: 'piv',
  schedule: 'sch',
  trigger: 'trg',
  calendar: 'cal',
  backfill: 'bkf',
  run: 'run',
  step: 'stp',
  deadLetter: 'dl',
  alert: 'alr',
  channel: 'chn',
  project: 'prj',
  team: 'tea',
  role: 'rol',
  grant: 'gra',
  invitation: 'inv',
  factor: 'fac',
  ssoProvider: 'sso',
  serviceAccount: 'sac',
  auditEntry: 'aud',
  auditStream: 'aus',
  mail: 'mai',
  request: 'req',
} as const
export type IdKind = keyof typeof prefixes
export type Id<K extends IdKind> = `${(typeof prefixes)[K]}_${string}`

export type TenantId = Id<'tenant'>
export type UserId = Id<'user'>
export type ConnectionId = Id<'connection'>
export type DatasetId = Id<'dataset'>
export type DatasetVersionId = Id<'datasetVersion'>
export type PipelineId = Id<'pipeline'>
export type PipelineVersionId = Id<'pipelineVersion'>
export type RunId = Id<'run'>
export type ChannelId = Id<'channel'>
export type AlertId = Id<'alert'>
export type DeadLetterId = Id<'deadLetter'>
export type ProjectId = Id<'project'>

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const tail = '[0-9a-hjkmnp-tv-z]{26}'

const schema = <K extends IdKind>(kind: K) =>
  z.custom<Id<K>>(
    (value) => typeof value === 'string' && new RegExp(`^${prefixes[kind]}_${tail}$`).test(value),
    { error: `must be an id like ${prefixes[kind]}_…` },
  )

/** The schemas that parse each kind of id at a boundary. */
export const ids = {
  tenant: schema('tenant'),
  user: schema('user'),
  session: schema('session'),
  apiKey: schema('apiKey'),
  connection: schema('connection'),
  dataset: schema('dataset'),
  datasetVersion: schema('datasetVersion'),
  pipeline: schema('pipeline'),
  pipelineVersion: schema('pipelineVersion'),
  schedule: schema('schedule'),
  trigger: schema('trigger'),
  calendar: schema('calendar'),
  backfill: schema('backfill'),
  run: schema('run'),
  step: schema('step'),
  deadLetter: schema('deadLetter'),
  alert: schema('alert'),
  channel: schema('channel'),
  project: schema('project'),
  team: schema('team'),
  role: schema('role'),
  grant: schema('grant'),
  invitation: schema('invitation'),
  factor: schema('factor'),
  ssoProvider: schema('ssoProvider'),
  serviceAccount: schema('serviceAccount'),
  auditEntry: schema('auditEntry'),
  auditStream: schema('auditStream'),
  mail: schema('mail'),
  request: schema('request'),
} as const

/** A new id: its prefix and a ULID in lower case (48 bits of milliseconds, 80 random bits), so ids sort by time. */
export function newId<K extends IdKind>(kind: K, now: Date = new Date()): Id<K> {
  let time = now.getTime()
  let head = ''
  for (let i = 0; i < 10; i++) {
    head = (alphabet[time % 32] ?? '0') + head
    time = Math.floor(time / 32)
  }
  let random = ''
  for (const byte of crypto.getRandomValues(new Uint8Array(16))) random += alphabet[byte & 31] ?? '0'
  return `${prefixes[kind]}_${head}${random}`
}

/** When the id was made. */
export function madeAt(id: Id<IdKind>): Date {
  const head = id.slice(id.indexOf('_') + 1, id.indexOf('_') + 11)
  let time = 0
  for (const char of head) time = time * 32 + alphabet.indexOf(char)
  return new Date(time)
}
