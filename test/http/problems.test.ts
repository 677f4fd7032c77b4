import { sql } from 'drizzle-orm'
import { HTTPException } from 'hono/http-exception'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { connectDatabase } from '#src/db/database.ts'
import { Problem } from '#src/domain/problem.ts'
import { bodyOf, entrance, json } from './entrance.ts'

type Entrance = Awaited<ReturnType<typeof entrance>>
let door: Entrance
let acme: Awaited<ReturnType<Entrance['owner']>>

beforeAll(async () => {
  door = await entrance()
  acme = await door.owner()
})
beforeEach(() => {
  door.lines.length = 0
})

async function failWith(error: unknown) {
  door.things.fail = error
  const answer = await acme.fetch('/v1/things/fails')
  door.things.fail = undefined
  return { answer, problem: await bodyOf(answer) }
}

/** What really comes out of the database's driver for this statement. */
async function failureOf(statement: string): Promise<unknown> {
  const { database } = door.services
  try {
    await database.open(database.sql.execute(sql.raw(statement)))
  } catch (error) {
    return error
  }
  throw new Error(`${statement} did not fail`)
}

describe('every failure', () => {
  const requests: [name: string, path: string, init: RequestInit, status: number][] = [
    ['a path that is not there', '/v1/nothing', {}, 404],
    ['a path outside of the API', '/elsewhere', {}, 404],
    ['a method that is not there', '/v1/api-keys', { method: 'PUT' }, 405],
    ['TRACE-like methods', '/v1/me', { method: 'PROPFIND' }, 405],
    ['an id that is none', '/v1/api-keys/1%20or%201=1', {}, 404],
    ['malformed JSON', '/v1/things', { ...json(0), body: '{"name":' }, 400],
    ['no JSON at all', '/v1/things', { ...json(0), body: '' }, 400],
    ['bytes that are not UTF-8', '/v1/things', { ...json(0), body: new Uint8Array([0x22, 0xff, 0x22]) }, 400],
    [
      'another media type',
      '/v1/things',
      { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{}' },
      415,
    ],
    ['a form', '/v1/things', { method: 'POST', body: new URLSearchParams({ name: 'xx' }) }, 415],
    ['no media type', '/v1/things', { method: 'POST', body: new Blob(['{"name":"xx"}']) }, 415],
    ['fields that do not fit', '/v1/things', json({ name: 'x', tags: [1] }), 422],
    ['a query that does not fit', '/v1/api-keys?limit=0', {}, 400],
    ['more than a page may have', '/v1/api-keys?limit=501', {}, 400],
    ['an unknown parameter', '/v1/api-keys?id=5&status=eq.x', {}, 400],
    ['a made-up cursor', '/v1/api-keys?cursor=abc.def', {}, 400],
    ['more than a megabyte', '/v1/things', json({ name: 'x'.repeat(1024 * 1024) }), 413],
    ['JSON nested 33 deep', '/v1/things', { ...json(0), body: '['.repeat(33) + ']'.repeat(33) }, 400],
  ]
  it.each(requests)('is a problem with its number: %s', async (_, path, init, status) => {
    const answer = await acme.fetch(path, {
      ...init,
      headers: { accept: 'text/html', ...Object.fromEntries(new Headers(init.headers)) },
    })
    const problem = await bodyOf(answer)
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(problem.status).toBe(status)
    expect(problem.requestId).toBe(answer.headers.get('x-request-id'))
    expect(problem.instance).toBe(path.split('?')[0])
    const explained = await bodyOf<{ code: string; title: string }>(
      await door.send(new URL(problem.type).pathname),
    )
    expect(explained).toMatchObject({ code: problem.code, title: problem.title })
  })

  it('names the methods that are there', async () => {
    const answer = await acme.fetch('/v1/api-keys', { method: 'PATCH' })
    expect(answer.headers.get('allow')).toBe('GET, POST, HEAD')
  })

  it('names the fields', async () => {
    const problem = await bodyOf(await acme.fetch('/v1/things', json({ name: 'x', tags: ['a', 1] })))
    expect(problem.fields?.map(({ path }) => path)).toEqual(['name', 'tags.1'])
    const query = await bodyOf(await acme.fetch('/v1/api-keys?status=x'))
    expect(query.fields).toEqual([{ path: 'status', message: 'is not known here' }])
  })

  it('stops reading a body that does not say how long it is', async () => {
    let sent = 0
    const endless = new ReadableStream({
      pull(controller) {
        sent += 65_536
        controller.enqueue(new Uint8Array(65_536).fill(32))
      },
    })
    const init = { ...json(0), body: endless, duplex: 'half' }
    expect((await acme.fetch('/v1/things', init)).status).toBe(413)
    expect(sent).toBeLessThan(4 * 1024 * 1024)
  })

  it('reads brackets in strings as text', async () => {
    const name = '['.repeat(100) + '"\\' + '{'.repeat(100)
    expect((await acme.fetch('/v1/things', json({ name }))).status).toBe(201)
  })

  it('has no body for HEAD', async () => {
    const answer = await acme.fetch('/v1/nothing', { method: 'HEAD' })
    expect(answer.status).toBe(404)
    expect(await answer.text()).toBe('')
  })
})

describe('what fails inside', () => {
  const secret = 'hunter2'
  const statements: [statement: string, status: number, code: string][] = [
    [`select '${secret}'::int`, 500, 'internal'],
    [`select 1 / 0 as ${secret}`, 500, 'internal'],
    [`select * from ${secret}`, 500, 'internal'],
    [`select ${secret} from`, 500, 'internal'],
    [`do $$ begin raise unique_violation using message = '${secret}'; end $$`, 409, 'conflict'],
    [`do $$ begin raise foreign_key_violation using message = '${secret}'; end $$`, 409, 'conflict'],
    [`do $$ begin raise query_canceled using message = '${secret}'; end $$`, 504, 'timeout'],
    [`do $$ begin raise too_many_connections using message = '${secret}'; end $$`, 503, 'unavailable'],
    [`do $$ begin raise serialization_failure using message = '${secret}'; end $$`, 503, 'unavailable'],
    [`do $$ begin raise connection_failure using message = '${secret}'; end $$`, 503, 'unavailable'],
  ]
  it.each(statements)('shows nothing of the statement: %s', async (statement, status, code) => {
    const { answer, problem } = await failWith(await failureOf(statement))
    expect([answer.status, problem.code]).toEqual([status, code])
    expect(JSON.stringify([problem, door.lines])).not.toMatch(/hunter2|select|raise|begin/)
    expect(answer.headers.has('retry-after')).toBe(status === 503)
  })

  it('is a 503 that says when to come back when the database does not answer', async () => {
    const gone = connectDatabase({
      url: 'postgresql://weir_app:hunter2@db.invalid/weir',
      claimKey: door.services.env.CLAIM_KEY,
      now: () => new Date(),
    })
    const real = globalThis.fetch
    globalThis.fetch = () => Promise.reject(new TypeError('fetch failed'))
    const failure = await gone.open(gone.sql.execute(sql`select 1`)).then(
      () => undefined,
      (error: unknown) => error,
    )
    globalThis.fetch = real
    const { answer, problem } = await failWith(failure)
    expect([answer.status, problem.code]).toEqual([503, 'unavailable'])
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(JSON.stringify([problem, door.lines])).not.toContain('hunter2')
  })

  it('is a 500 without its message when it is a bug, and a line that finds the place', async () => {
    const { answer, problem } = await failWith(new TypeError(`cannot read ${secret} of undefined`))
    expect(answer.status).toBe(500)
    expect(JSON.stringify([problem, door.lines])).not.toContain(secret)
    const line = door.lines.find(({ event }) => event === 'failure')
    expect(line).toMatchObject({ error: 'TypeError', requestId: problem.requestId })
    expect(JSON.stringify(line?.['at'])).toContain('problems.test.ts')
  })

  it("keeps what a problem says and what Hono's own exceptions mean", async () => {
    const { problem } = await failWith(new Problem('locked', 'Somebody else is editing it.'))
    expect(problem).toMatchObject({ status: 423, code: 'locked', detail: 'Somebody else is editing it.' })
    const hono = await failWith(new HTTPException(413, { message: secret }))
    expect(hono.problem).toMatchObject({ status: 413, code: 'too_large' })
    expect(JSON.stringify(hono.problem)).not.toContain(secret)
  })
})
