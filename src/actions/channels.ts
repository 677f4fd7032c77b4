import type { CheckResult } from '#src/connectors/connector.ts'
import {
  deleteChannel as deleteChannelRow,
  getChannel,
  insertChannel,
  listChannels,
  updateChannel as updateChannelRow,
} from '#src/db/channels.ts'
import type { Channel, ChannelKind } from '#src/domain/channel.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { fieldProblems } from '#src/domain/field-problem.ts'
import { newId, type ChannelId } from '#src/domain/id.ts'
import { mergePatch } from '#src/domain/merge-patch.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { Problem } from '#src/domain/problem.ts'
import { newWebhookSecret } from '#src/domain/webhook.ts'
import { allow, allowEverywhere, type Context } from './context.ts'
import { trial } from './trials.ts'

type Fields = Record<string, unknown>

/** Loaded when somebody asks, with what resolves hosts. */
const spec = async (kind: ChannelKind) => (await import('#src/connectors/channels.ts')).channelSpec(kind)

/** A webhook that brings no signing secret is given one, shown this one time. */
export async function createChannel(
  ctx: Context,
  input: { name: string; kind: ChannelKind; config: unknown; secret?: unknown },
): Promise<{ channel: Channel; signingSecret?: string }> {
  allow(ctx, 'connections:write')
  const { config: configShape, secret: secretShape } = await spec(input.kind)
  const signingSecret =
    input.kind === 'webhook' && input.secret === undefined ? newWebhookSecret() : undefined
  const config = parsed('config', configShape, input.config)
  const secret = parsed('secret', secretShape, signingSecret ? { signingSecret } : (input.secret ?? {}))
  const id = newId('channel', ctx.now())
  const { name, kind } = input
  const channel = await insertChannel(ctx.tenantDb, {
    id,
    name,
    kind,
    config,
    secret: await sealed(ctx, id, secret),
  })
  return { channel, ...(signingSecret ? { signingSecret } : {}) }
}

/** Merges the change into what is there (RFC 7396); the secret, which nobody can see, is replaced as a whole. */
export async function updateChannel(
  ctx: Context,
  id: ChannelId,
  expected: readonly number[] | 'any',
  change: { name?: string | undefined; config?: unknown; secret?: unknown },
): Promise<Channel> {
  allow(ctx, 'connections:write')
  const current = await getChannel(ctx.tenantDb, id)
  if (expected !== 'any' && !expected.includes(current.version)) throw stale()
  const shapes = await spec(current.kind)
  const config =
    change.config === undefined
      ? undefined
      : parsed('config', shapes.config, mergePatch(current.config, change.config) ?? {})
  const moved = config ? shapes.secretGoesBy.filter((key) => config[key] !== current.config[key]) : []
  if (moved.length > 0 && change.secret === undefined)
    throw new Problem('invalid', 'The stored secret is only for where it was given for.', {
      fields: [{ path: 'secret', message: `must be given again when ${moved.join(' or ')} changes` }],
    })
  const secret =
    change.secret === undefined
      ? undefined
      : await sealed(ctx, id, parsed('secret', shapes.secret, change.secret))
  const changed = await updateChannelRow(ctx.tenantDb, id, current.version, {
    ...(change.name === undefined ? {} : { name: change.name }),
    ...(config ? { config } : {}),
    ...(secret === undefined ? {} : { secret }),
  })
  if (!changed) throw stale()
  return changed
}

const stale = () => new Problem('precondition_failed', 'It has changed since you read it; read it again.')

function parsed(
  where: 'config' | 'secret',
  shape: Awaited<ReturnType<typeof spec>>['config'],
  value: unknown,
): Fields {
  const result = shape.safeParse(value)
  if (result.success) return result.data as Fields
  throw new Problem('invalid', 'Some fields are not valid.', {
    fields: fieldProblems(result.error.issues, where),
  })
}

const sealed = (ctx: Context, id: ChannelId, secret: Fields): Promise<string> =>
  ctx.services.secrets.seal(ctx.tenantDb, id, JSON.stringify(secret))

export async function readChannel(ctx: Context, id: ChannelId): Promise<Channel> {
  allowEverywhere(ctx, 'connections:read')
  return getChannel(ctx.tenantDb, id)
}

export async function readChannels(ctx: Context, page: PageRequest): Promise<Page<Channel>> {
  allowEverywhere(ctx, 'connections:read')
  const after = page.after?.[0] as ChannelId | undefined
  return toPage(await listChannels(ctx.tenantDb, after, page.limit), page.limit, (channel) => [channel.id])
}

export async function deleteChannel(
  ctx: Context,
  id: ChannelId,
  expected: readonly number[] | 'any',
): Promise<void> {
  allow(ctx, 'connections:write')
  if (!(await deleteChannelRow(ctx.tenantDb, id, expected))) throw stale()
}

/** Sends a message now; that it does not arrive is an answer, not an error. */
export async function testChannel(ctx: Context, id: ChannelId): Promise<CheckResult> {
  allow(ctx, 'connections:write')
  return trial(ctx, { verb: 'test', kind: 'channel', table: 'channels', id }, () => sendTest(ctx, id))
}

async function sendTest(ctx: Context, id: ChannelId): Promise<CheckResult> {
  const channel = await getChannel(ctx.tenantDb, id)
  const { sendTo } = await import('#src/engine/notices.ts')
  const at = ctx.now()
  const notice = {
    id: `msg_${ctx.requestId}`,
    type: 'channel.test',
    at,
    subject: 'A test message from Weir.',
    body: {},
  }
  try {
    await sendTo(ctx.services, ctx.tenantDb, channel, notice)
    return { ok: true, detail: 'The message was taken.' }
  } catch (error) {
    if (error instanceof StepFailure) return { ok: false, code: error.code, detail: error.message }
    throw error
  }
}
