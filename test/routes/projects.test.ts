import { describe, expect, it } from 'vitest'
import { madeUp, problem } from '#test/support/answers.ts'
import { member, ownerOf, type Person } from '#test/support/member.ts'
import { fileOwner, fileWorld } from '#test/support/per-file.ts'
import { json, pipeline } from '#test/support/pipeline.ts'

type Project = { id: string; name: string; archivedAt?: string }
type Team = { id: string; name: string; members: number }

const here = await fileWorld()
const db = await fileOwner()
const [globex, acme] = [await here.tenant(), await here.tenant()]
const [boss, stranger] = [await ownerOf(here, db, acme), await ownerOf(here, db, globex)]

const post = (by: Person, path: string, body: object) => by.fetch(path, { method: 'POST', body })
const patch = (by: Person, path: string, body: object) => by.fetch(path, { method: 'PATCH', body })
const del = (by: Person, path: string) => by.fetch(path, { method: 'DELETE' })
const name = () => `n${crypto.randomUUID()}`
const project = async (): Promise<Project> =>
  json<Project>(await post(boss, '/v1/projects', { name: name() }), 201)
const newPipeline = () => pipeline(acme, 'steps: [{ id: one, sql: "select 1 as n", into: one }]\n')

describe('a project', () => {
  it('is made, read, renamed, archived and deleted, and is not there for another tenant', async () => {
    const made = await project()
    const path = `/v1/projects/${made.id}`
    await problem(await post(boss, '/v1/projects', { name: made.name }), 409)
    const renamed = name()
    expect(await json(await patch(boss, path, { name: renamed, description: 'x' }), 200)).toMatchObject({
      name: renamed,
      description: 'x',
    })
    for (const answer of [
      await stranger.fetch(path),
      await patch(stranger, path, { name: 'mine' }),
      await del(stranger, path),
      await boss.fetch(madeUp(path)),
    ])
      await problem(answer, 404)
    expect(await json<Project>(await patch(boss, path, { archived: true }), 200)).toHaveProperty('archivedAt')
    const listed = async (query: string) =>
      (await json<{ items: Project[] }>(await boss.fetch(`/v1/projects?limit=500${query}`), 200)).items.map(
        ({ id }) => id,
      )
    expect(await listed('&archived=true')).toContain(made.id)
    expect(await listed('&archived=false')).not.toContain(made.id)
    expect((await del(boss, path)).status).toBe(204)
    await problem(await boss.fetch(path), 404)
  })

  it('holds resources, which are moved, listed, and keep it from being deleted', async () => {
    const [one, two] = [await project(), await project()]
    const id = await newPipeline()
    const resources = (of: Project) => `/v1/projects/${of.id}/resources`
    const of = async (where: Project) =>
      (await json<{ items: { id: string }[] }>(await boss.fetch(resources(where)), 200)).items.map(
        (item) => item.id,
      )
    expect((await post(boss, resources(one), { kind: 'pipeline', id })).status).toBe(204)
    expect(await of(one)).toEqual([id])
    await problem(await del(boss, `/v1/projects/${one.id}`), 409)
    const filtered = await json<{ items: { id: string }[] }>(
      await boss.fetch(`/v1/pipelines?project=${one.id}`),
      200,
    )
    expect(filtered.items.map((item) => item.id)).toEqual([id])
    expect((await post(boss, resources(two), { kind: 'pipeline', id })).status).toBe(204)
    expect([await of(one), await of(two)]).toEqual([[], [id]])
    await patch(boss, `/v1/projects/${one.id}`, { archived: true })
    await problem(await post(boss, resources(one), { kind: 'pipeline', id }), 409)
    await problem(await post(stranger, resources(two), { kind: 'pipeline', id }), 404)
    await problem(await post(boss, resources(two), { kind: 'pipeline', id: madeUp(id) }), 404)
    expect((await del(boss, `${resources(two)}/pipeline/${id}`)).status).toBe(204)
    expect((await del(boss, `/v1/projects/${two.id}`)).status).toBe(204)
  })

  it('takes and gives resources only by who may write in both', async () => {
    const [mine, other] = [await project(), await project()]
    const guest = await member(here, db, acme, 'guest')
    const id = await newPipeline()
    await post(boss, `/v1/projects/${mine.id}/resources`, { kind: 'pipeline', id })
    await db.query(
      `insert into grants (tenant_id, id, user_id, project_id, level, created_by) values ($1, $2, $3, $4, 'edit', 'test')`,
      [acme.id, `gra_${mine.id.slice(4)}`, guest.userId, mine.id],
    )
    const move = (to: Project) => post(guest, `/v1/projects/${to.id}/resources`, { kind: 'pipeline', id })
    expect((await move(other)).status).toBeGreaterThanOrEqual(403)
    expect(
      (await del(guest, `/v1/projects/${mine.id}/resources/pipeline/${id}`)).status,
    ).toBeGreaterThanOrEqual(403)
    const where = async () =>
      (await db.query<{ p: string }>('select project_id as p from pipelines where id = $1', [id])).rows[0]?.p
    expect(await where()).toBe(mine.id)
    await db.query(
      `insert into grants (tenant_id, id, user_id, project_id, level, created_by) values ($1, $2, $3, $4, 'edit', 'test')`,
      [acme.id, `gra_${other.id.slice(4)}`, guest.userId, other.id],
    )
    expect((await move(other)).status).toBe(204)
    expect(await where()).toBe(other.id)
  })

  it('is not made by who may only look', async () => {
    const viewer = await member(here, db, acme, 'viewer')
    expect((await problem(await post(viewer, '/v1/projects', { name: name() }), 403)).detail).toContain(
      'projects:write',
    )
    expect((await viewer.fetch('/v1/projects')).status).toBe(200)
  })
})

describe('a team', () => {
  it('is made, renamed, filled and emptied, and is not there for another tenant', async () => {
    const made = await json<Team>(await post(boss, '/v1/teams', { name: name() }), 201)
    const path = `/v1/teams/${made.id}`
    const one = await member(here, db, acme, 'viewer')
    const put = (by: Person, userId: string) => by.fetch(`${path}/members/${userId}`, { method: 'PUT' })
    expect((await put(boss, one.userId)).status).toBe(204)
    expect((await put(boss, one.userId)).status).toBe(204)
    await problem(await put(boss, stranger.userId), 404)
    expect(await json(await boss.fetch(path), 200)).toMatchObject({ members: 1 })
    const members = await json<{ items: { id: string }[] }>(
      await boss.fetch(`/v1/members?team=${made.id}`),
      200,
    )
    expect(members.items.map(({ id }) => id)).toEqual([one.userId])
    for (const answer of [
      await stranger.fetch(path),
      await patch(stranger, path, { name: 'mine' }),
      await del(stranger, path),
      await put(stranger, stranger.userId),
    ])
      await problem(answer, 404)
    await problem(await post(one, '/v1/teams', { name: name() }), 403)
    await problem(await put(one, one.userId), 403)
    expect((await patch(boss, path, { name: name() })).status).toBe(200)
    expect((await del(boss, `${path}/members/${one.userId}`)).status).toBe(204)
    await problem(await del(boss, `${path}/members/${one.userId}`), 404)
    expect((await del(boss, path)).status).toBe(204)
  })

  it('loses who leaves the tenant', async () => {
    const made = await json<Team>(await post(boss, '/v1/teams', { name: name() }), 201)
    const one = await member(here, db, acme, 'viewer')
    await boss.fetch(`/v1/teams/${made.id}/members/${one.userId}`, { method: 'PUT' })
    await del(boss, `/v1/members/${one.userId}`)
    expect(await json(await boss.fetch(`/v1/teams/${made.id}`), 200)).toMatchObject({ members: 0 })
  })
})
