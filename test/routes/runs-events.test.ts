import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Services } from '#src/actions/context.ts'
import { problem } from '#test/support/answers.ts'
import { finished, pipeline, readRun, start } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let acme: Tenant
let services: Services
/** How often the database was asked on behalf of a tenant, and who is subscribed now. */
let asked = 0
let watching = 0

beforeAll(async () => {
  here = await world((real) => {
    const { database, cache } = real
    services = {
      ...real,
      database: {
        ...database,
        tenant(tenantId, actor) {
          const db = database.tenant(tenantId, actor)
          return { ...db, run: (...queries) => ((asked += 1), db.run(...queries)) }
        },
      },
      cache: new Proxy(cache, {
        get(target, name) {
          if (name === 'subscribe') {
            return (channels: string[]) => {
              watching += 1
              const subscriber = target.subscribe(channels)
              const unsubscribe = subscriber.unsubscribe.bind(subscriber)
              subscriber.unsubscribe = (...given) => ((watching -= 1), unsubscribe(...given))
              return subscriber
            }
          }
          const value = Reflect.get(target, name, target) as unknown
          return typeof value === 'function' ? value.bind(target) : value
        },
      }),
    }
    return services
  })
  acme = await here.tenant()
})
afterAll(() => here.close())

type Event = { id?: string; event: string; data: Record<string, unknown> }

/** What a whole event stream said, but for its comments. */
function eventsIn(text: string): Event[] {
  return text.split('\n\n').flatMap((block) => {
    const fields = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
    )
    const [event, id] = [fields.get('event'), fields.get('id')]
    if (event === undefined) return []
    return [
      {
        ...(id === undefined ? {} : { id }),
        event,
        data: JSON.parse(fields.get('data') ?? '{}') as Record<string, unknown>,
      },
    ]
  })
}
const stream = (id: string, headers: Record<string, string> = {}, query = '') =>
  acme.fetch(`/v1/runs/${id}/events${query}`, { headers })

const one = 'steps:\n  - { id: one, sql: select 1 as n, into: ones }\n'
const waiting = 'steps:\n  - { id: long, wait: { for: 1h } }\n'

describe("a run's events", () => {
  it('are its whole history in order, and end with it', async () => {
    const { id } = await finished(acme, await pipeline(acme, one))
    const answer = await stream(id)
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const events = eventsIn(await answer.text())
    expect(events.map(({ id: seq, event }) => [seq, event])).toEqual([
      ['1', 'run.queued'],
      ['2', 'run.running'],
      ['3', 'step.running'],
      ['4', 'step.succeeded'],
      ['5', 'run.succeeded'],
    ])
    expect(events[2]?.data).toMatchObject({ seq: 3, type: 'step.running', step: 'one', attempt: 1 })
    for (const { data } of events) expect(data['at']).toMatch(/^\d{4}-.*Z$/)
  })

  it('go on after the last one that was seen', async () => {
    const { id } = await finished(acme, await pipeline(acme, one.replace('ones', 'twos')))
    const rest = eventsIn(await (await stream(id, { 'Last-Event-ID': '3' })).text())
    expect(rest.map(({ id: seq }) => seq)).toEqual(['4', '5'])
    expect(eventsIn(await (await stream(id, {}, '?after=4')).text()).map(({ id: seq }) => seq)).toEqual(['5'])
    expect(eventsIn(await (await stream(id, { 'Last-Event-ID': '999' })).text())).toEqual([])
  })

  it.each(['-1', 'x', '1 or 1=1', '99999999999'])('do not go on after %j', async (last) => {
    const { id } = await finished(acme, await pipeline(acme, one.replace('ones', 'threes')))
    const answers = [
      await stream(id, { 'Last-Event-ID': last }),
      await stream(id, {}, `?after=${encodeURIComponent(last)}`),
      await stream(id, {}, '?from=1'),
    ]
    for (const answer of answers) expect((await problem(answer, 400)).code).toBe('malformed')
  })

  it('come while they happen', async () => {
    const id = await start(acme, await pipeline(acme, waiting))
    await until('the wait', async () => (await readRun(acme, id)).steps[0]?.state === 'waiting')
    const open = await stream(id)
    const text = open.text()
    await acme.fetch(`/v1/runs/${id}/cancel`, { method: 'POST' })
    const cancelledMs = Date.now()
    const events = eventsIn(await text)
    expect(events.at(-1)?.event).toBe('run.cancelled')
    expect(Date.now() - cancelledMs).toBeLessThan(4_000)
  })

  it('are looked at again once the watch is on, for what happened while it was set up', async () => {
    const id = await start(acme, await pipeline(acme, waiting))
    await until('the wait', async () => (await readRun(acme, id)).steps[0]?.state === 'waiting')
    const askedBefore = asked
    const text = (await stream(id)).text()
    await until('a second look', () => Promise.resolve(asked > askedBefore + 1), 3_000)
    await acme.fetch(`/v1/runs/${id}/cancel`, { method: 'POST' })
    expect(eventsIn(await text).at(-1)?.event).toBe('run.cancelled')
  })

  it('stop costing anything when the watcher leaves', async () => {
    const id = await start(acme, await pipeline(acme, waiting))
    await until('the wait', async () => (await readRun(acme, id)).steps[0]?.state === 'waiting')
    const watchedBefore = watching
    const gone = new AbortController()
    const byAbort = await acme.fetch(`/v1/runs/${id}/events`, { signal: gone.signal })
    const byCancel = await stream(id)
    const reader = byCancel.body?.getReader()
    await reader?.read()
    const draining = byAbort.text()
    expect(watching).toBe(watchedBefore + 2)
    gone.abort()
    await reader?.cancel()
    await draining
    expect(watching).toBe(watchedBefore)
    const askedBefore = asked
    services.live(acme.id, id as never, true)
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(asked).toBe(askedBefore)
    await acme.fetch(`/v1/runs/${id}/cancel`, { method: 'POST' })
  })
})
