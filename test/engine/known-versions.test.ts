import { sql } from 'drizzle-orm'
import { expect, it } from 'vitest'
import { claimStep, startRun, type Claim, type RunVersion } from '#src/db/run-moves.ts'
import { newId, type PipelineId, type RunId } from '#src/domain/id.ts'
import { fileWorld } from '#test/support/per-file.ts'
import { json, pipeline } from '#test/support/pipeline.ts'

const here = await fileWorld()
const acme = await here.tenant()

const delivery = { id: 'by-hand', retry: false }
const db = () => here.services.database.tenant(acme.id, 'job')

async function begun(pipelineId: PipelineId): Promise<RunId> {
  const id = newId('run')
  await startRun(db(), { id, pipelineId, parameters: {}, trigger: 'manual' })
  return id
}

async function claimed(runId: RunId, known?: RunVersion) {
  const claim = await claimStep(db(), runId, undefined, delivery, 60_000, known)
  if (claim.outcome !== 'claimed') throw new Error(claim.outcome)
  return claim.run
}

const waits = (name: string, step: string) =>
  `apiVersion: weir/v1\nkind: Pipeline\nname: ${name}\nsteps: [{ id: ${step}, wait: { for: 0s } }]`

it('a version that is known is not told again, and one that the run does not go by is not believed', async () => {
  const name = `p-${crypto.randomUUID().slice(0, 8)}`
  const id = (await pipeline(acme, 'steps: [{ id: one, wait: { for: 0s } }]', name)) as PipelineId
  const first = await claimed(await begun(id))

  const told = await db().call<Claim>(
    sql`app.claim_step(${await begun(id)}, null, 'by-hand', false, 60000, ${first.versionId})`,
  )
  expect(told).not.toHaveProperty('run.definition')
  expect(told).not.toHaveProperty('run.plan')
  expect(await claimed(await begun(id), first)).toMatchObject({
    version: 1,
    definition: first.definition,
    plan: first.plan,
  })

  const headers = { 'Content-Type': 'application/yaml', 'If-Match': '*' }
  const put = await acme.fetch(`/v1/pipelines/${id}`, { method: 'PUT', headers, body: waits(name, 'two') })
  await json(put, 200)
  const next = await claimed(await begun(id), first)
  expect(next).toMatchObject({ version: 2, definition: { steps: [{ id: 'two' }] } })
  expect(next.versionId).not.toBe(first.versionId)
})
