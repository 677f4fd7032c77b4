import type { Fault } from '#local/qstash.ts'
import { until } from './until.ts'

type Variables = Record<string, string>

async function ask(
  variables: Variables,
  method: string,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  const reply = await fetch(`${variables['QSTASH_URL']}${path}`, {
    method,
    ...init,
    headers: {
      Authorization: `Bearer ${variables['QSTASH_TOKEN']}`,
      ...(init.headers as Record<string, string> | undefined),
    },
  })
  if (!reply.ok && reply.status !== 404)
    throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`)
  return reply
}

export type Armed = {
  /** How often it has struck. */
  struck(): Promise<number>
  undo(): Promise<void>
}

/** Arms a fault of QStash for what goes to one world, whoever else uses the same server. */
export async function inject(
  variables: Variables,
  url: string,
  fault: Fault,
  options: { every?: number; times?: number } = {},
): Promise<Armed> {
  const armed = await ask(variables, 'POST', '/__test/faults', {
    body: JSON.stringify({ ...fault, ...options, url }),
  })
  const { id } = (await armed.json()) as { id: number }
  return {
    async struck() {
      const all = (await (await ask(variables, 'GET', '/__test/faults')).json()) as {
        id: number
        struck: number
      }[]
      return all.find((each) => each.id === id)?.struck ?? 0
    },
    async undo() {
      await ask(variables, 'DELETE', `/__test/faults/${id}`)
    },
  }
}

/** Has QStash deliver a job, signed, and waits until it is done. */
export async function deliverJob(
  variables: Variables,
  url: string,
  job: string,
  payload: unknown = {},
): Promise<void> {
  const published = await ask(variables, 'POST', `/v2/publish/${url}/jobs/${job}`, {
    headers: { 'Content-Type': 'application/json', 'Upstash-Retries': '3', 'Upstash-Retry-Delay': '100' },
    body: JSON.stringify(payload),
  })
  const { messageId } = (await published.json()) as { messageId: string }
  await until(
    `${job} to be delivered`,
    async () => (await ask(variables, 'GET', `/v2/messages/${messageId}`)).status === 404,
  )
}

export const tick = (variables: Variables, url: string): Promise<void> => deliverJob(variables, url, 'tick')

export type Attempt = {
  url: string
  retried: number
  fault?: string
  status?: number
  payload: Record<string, unknown>
}

/** The attempts of deliveries to one world. */
export async function attempts(variables: Variables, url: string): Promise<Attempt[]> {
  const reply = await ask(variables, 'GET', '/__test/deliveries')
  const all = (await reply.json()) as (Omit<Attempt, 'payload'> & { body: string })[]
  return all
    .filter((attempt) => attempt.url.startsWith(url))
    .map(({ body, ...rest }) => ({
      ...rest,
      payload: JSON.parse(atob(body) || '{}') as Record<string, unknown>,
    }))
}
