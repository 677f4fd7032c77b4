import * as z from 'zod'
import type { ChannelKind, Notice } from '#src/domain/channel.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { failureOfStatus } from '#src/domain/http-failure.ts'
import { signEvent } from '#src/domain/webhook.ts'
import { publicFetch } from './public-fetch.ts'

const url = z.url({ protocol: /^https?$/ }).max(2_000)
const signingSecret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, 'must be whsec_ and 24 to 64 bytes in base64')
const address = z.string().max(320)

const configs = {
  webhook: z.strictObject({ url }),
  slack: z.strictObject({}),
  /** An HTTP API that takes {from, to, subject, text} with a bearer key. */
  email: z.strictObject({ url, from: address, to: z.array(z.email()).min(1).max(50) }),
} as const
const secrets = {
  webhook: z.strictObject({ signingSecret }),
  /** Whoever knows the address of Slack's incoming webhook can post there. */
  slack: z.strictObject({ url }),
  email: z.strictObject({ key: z.string().min(1).max(1_000) }),
} as const

type Spec = {
  config: z.ZodType
  secret: z.ZodType
  /** The members of the configuration that say who gets to see the secret. */
  secretGoesBy: readonly string[]
}
export const channelSpec = (kind: ChannelKind): Spec => ({
  config: configs[kind],
  secret: secrets[kind],
  secretGoesBy: kind === 'email' ? ['url'] : [],
})

/** A channel with its secret opened, and what sending may use of the outside. */
export type OpenChannel = {
  kind: ChannelKind
  config: Record<string, unknown>
  secret: Record<string, unknown>
  ownUrl: string
  allowPrivateHosts: boolean
  now: () => Date
}

const patienceMs = 15_000
const mostSubject = 200

/** Sends the notice once. Redirects are not followed, and what is answered is not read. */
export async function sendNotice(channel: OpenChannel, notice: Notice): Promise<void> {
  const { to, body, headers } = await requestOf(channel, notice)
  const ask = publicFetch({
    ownUrl: channel.ownUrl,
    allowPrivate: channel.allowPrivateHosts,
    mostBytes: 0,
    patienceMs,
  })
  const response = await ask(to, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'User-Agent': 'Weir', ...headers },
    body,
  })
  const { host } = new URL(to)
  if (response.status === 410)
    throw new StepFailure('gone', `${host} answered 410: it wants no more of these.`)
  if (!response.ok)
    throw failureOfStatus(response.status, Object.fromEntries(response.headers), host, channel.now())
}

async function requestOf(
  { kind, config, secret, now }: OpenChannel,
  notice: Notice,
): Promise<{ to: string; body: string; headers: Record<string, string> }> {
  switch (kind) {
    case 'webhook': {
      const { url: to } = configs.webhook.parse(config)
      const { type, at, body: data } = notice
      const body = JSON.stringify({
        type,
        timestamp: at.toISOString(),
        data: { subject: notice.subject, ...data },
      })
      const { signingSecret: key } = secrets.webhook.parse(secret)
      const timestamp = String(Math.floor(now().getTime() / 1_000))
      const signature = await signEvent(key, { id: notice.id, timestamp, body })
      const headers = {
        'webhook-id': notice.id,
        'webhook-timestamp': timestamp,
        'webhook-signature': signature,
      }
      return { to, body, headers }
    }
    case 'slack': {
      const { url: to } = secrets.slack.parse(secret)
      return { to, body: JSON.stringify({ text: escaped(notice.subject) }), headers: {} }
    }
    case 'email': {
      const { url: to, from, to: recipients } = configs.email.parse(config)
      const { key } = secrets.email.parse(secret)
      const [first = ''] = notice.subject.split('\n', 1)
      const body = JSON.stringify({
        from,
        to: recipients,
        subject: first.slice(0, mostSubject),
        text: `${notice.subject}\n\n${JSON.stringify(notice.body, null, 2)}\n`,
      })
      return { to, body, headers: { Authorization: `Bearer ${key}`, 'Idempotency-Key': notice.id } }
    }
  }
}

/** Slack reads these three; nobody's message shall call everybody. */
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
