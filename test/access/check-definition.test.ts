import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { newId } from '#src/domain/id.ts'
import { member, type Person } from '#test/support/member.ts'
import { client } from '#test/support/own-stack.ts'
import { json } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let db: pg.Client
let acme: Tenant
let guest: Person
/** A project that the guest comes to edit, a pipeline in it, and a project beside it. */
let inside: string
let pipelineId: string
let elsewhere: string
/** The name of a dataset that a guest does not see. */
const secret = `secret_${crypto.randomUUID().slice(0, 8)}`

const make = async (path: string, body: unknown) =>
  (await json<{ id: string }>(await acme.fetch(path, { method: 'POST', body }), 201)).id
const definition = (into: string) => ({
  apiVersion: 'weir/v1',
  kind: 'Pipeline',
  name: `p-${crypto.randomUUID().slice(0, 8)}`,
  steps: [{ id: 'make', sql: 'select 1 as n', into }],
})

beforeAll(async () => {
  here = await world()
  db = await client(inject('ownerUrl'))
  acme = await here.tenant()
  guest = await member(here, db, acme, 'guest')
  inside = await make('/v1/projects', { name: 'inside' })
  elsewhere = await make('/v1/projects', { name: 'elsewhere' })
  pipelineId = await make(`/v1/pipelines?project=${inside}`, definition('made'))
  await db.query('insert into datasets (tenant_id, id, name) values ($1, $2, $3)', [
    acme.id,
    newId('dataset'),
    secret,
  ])
})
afterAll(async () => {
  await db.end()
  await here.close()
})

const check = (who: Pick<Person, 'fetch'>, query = '', into = secret) =>
  who.fetch(`/v1/pipelines/check${query}`, { method: 'POST', body: definition(into) })
const status = async (answer: Promise<Response>) => (await answer).status

describe('checking a definition', () => {
  it('is refused to a guest in the same words, whether there is what the definition names or not', async () => {
    for (const into of [secret, 'there_is_none']) {
      const answer = await check(guest, '', into)
      expect(answer.status).toBe(403)
      expect(await answer.text()).toContain('This needs the permission pipelines:read.')
    }
    expect(await status(check(guest, `?project=${inside}`))).toBe(404)
    expect(await status(check(guest, `?pipeline=${pipelineId}`))).toBe(404)
  })

  it('is done where a grant lets somebody save it, and nowhere else', async () => {
    const grant = (level: string) => make('/v1/grants', { subject: guest.userId, resource: inside, level })
    await grant('read')
    expect(await status(check(guest, `?project=${inside}`))).toBe(403)
    expect(await status(check(guest, `?pipeline=${pipelineId}`))).toBe(403)
    await grant('edit')
    expect(await status(check(guest, `?project=${inside}`, 'own'))).toBe(200)
    expect(await status(check(guest, `?pipeline=${pipelineId}`, 'own'))).toBe(200)
    expect(await status(check(guest, `?project=${elsewhere}`))).toBe(404)
    expect(await status(check(guest))).toBe(403)
  })

  it('is for everybody who reads all pipelines', async () => {
    const viewer = await member(here, db, acme, 'viewer')
    expect(await status(check(viewer, '', 'of_a_viewer'))).toBe(200)
    expect(await status(check(acme))).toBe(200)
  })
})
