import { channelSpec } from '#src/connectors/channels.ts'
import {
  deleteStream as deleteStreamRow,
  getStream,
  insertStream,
  listStreams,
  updateStream as updateStreamRow,
  type AuditStream,
  type AuditStreamId,
} from '#src/db/audit-streams.ts'
import { fieldProblems } from '#src/domain/field-problem.ts'
import { newId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { Problem } from '#src/domain/problem.ts'
import { newWebhookSecret } from '#src/domain/webhook.ts'
import { allow, type Context } from './context.ts'

/** Whoever sends the log elsewhere must be one who may read it. */
function allowWriting(ctx: Context): void {
  allow(ctx, 'audit:read')
  allow(ctx, 'connections:write')
}

/** One that brings no signing secret is given one, shown this one time. */
export async function createStream(
  ctx: Context,
  input: {
    name: string
    url: string
    secret?: string | undefined
    actions: string[]
    fromBeginning: boolean
  },
): Promise<{ stream: AuditStream; secret?: string }> {
  allowWriting(ctx)
  const given = input.secret === undefined ? newWebhookSecret() : undefined
  const secret = checkedSecret(input.secret ?? given)
  const id = newId('auditStream', ctx.now())
  const sealed = await ctx.services.secrets.seal(ctx.tenantDb, id, secret)
  const stream = await insertStream(ctx.tenantDb, {
    ...input,
    id,
    url: checkedUrl(input.url),
    secret: sealed,
  })
  return { stream, ...(given === undefined ? {} : { secret: given }) }
}

export async function updateStream(
  ctx: Context,
  id: AuditStreamId,
  expected: readonly number[] | 'any',
  change: {
    name?: string | undefined
    url?: string | undefined
    secret?: string | undefined
    actions?: string[] | undefined
  },
): Promise<AuditStream> {
  allowWriting(ctx)
  const current = await getStream(ctx.tenantDb, id)
  if (expected !== 'any' && !expected.includes(current.version)) throw stale()
  const { name, url, secret, actions } = change
  const changed = await updateStreamRow(ctx.tenantDb, id, current.version, {
    ...(name === undefined ? {} : { name }),
    ...(url === undefined ? {} : { url: checkedUrl(url) }),
    ...(secret === undefined
      ? {}
      : { secret: await ctx.services.secrets.seal(ctx.tenantDb, id, checkedSecret(secret)) }),
    ...(actions === undefined ? {} : { actions }),
  })
  if (!changed) throw stale()
  return changed
}

const stale = () => new Problem('precondition_failed', 'It has changed since you read it; read it again.')

const checkedUrl = (url: string): string => {
  checked('config', { url })
  return url
}

function checkedSecret(secret: string | undefined): string {
  checked('secret', { signingSecret: secret })
  return secret ?? ''
}

/** What holds for a webhook channel holds here too. */
function checked(part: 'config' | 'secret', value: Record<string, unknown>): void {
  const parsed = channelSpec('webhook')[part].safeParse(value)
  if (parsed.success) return
  throw new Problem('invalid', 'Some fields are not valid.', {
    fields: fieldProblems(parsed.error.issues).map((field) => ({
      ...field,
      path: field.path.replace('signingSecret', 'secret'),
    })),
  })
}

export async function readStream(ctx: Context, id: AuditStreamId): Promise<AuditStream> {
  allow(ctx, 'audit:read')
  return getStream(ctx.tenantDb, id)
}

export async function readStreams(ctx: Context, page: PageRequest): Promise<Page<AuditStream>> {
  allow(ctx, 'audit:read')
  const streams = await listStreams(ctx.tenantDb, page.after?.[0], page.limit)
  return toPage(streams, page.limit, ({ id }) => [id])
}

export async function deleteStream(
  ctx: Context,
  id: AuditStreamId,
  expected: readonly number[] | 'any',
): Promise<void> {
  allowWriting(ctx)
  if (!(await deleteStreamRow(ctx.tenantDb, id, expected))) throw stale()
}
