import { expect, it } from 'vitest'
import { problem } from '#test/support/answers.ts'
import { fileWorld } from '#test/support/per-file.ts'
import { json } from '#test/support/pipeline.ts'

const here = await fileWorld()

it('serves the JSON Schema of a definition to every editor', async () => {
  const answer = await here.app.request('/v1/schemas/pipeline.json', {}, { address: crypto.randomUUID() })
  const schema = await json<{ $schema: string; required: string[]; properties: Record<string, unknown> }>(
    answer,
    200,
  )
  expect(answer.headers.get('content-type')).toBe('application/schema+json')
  expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema')
  expect(schema.required).toEqual(expect.arrayContaining(['apiVersion', 'kind', 'name', 'steps']))
  expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(['triggers', 'parameters', 'steps']))
})

it('has no other schema', async () => {
  const tenant = await here.tenant()
  await problem(await tenant.fetch('/v1/schemas/none.json'), 404)
  const changed = await tenant.fetch('/v1/schemas/pipeline.json', { method: 'PUT', body: {} })
  await problem(changed, 405)
  expect(changed.headers.get('allow')).toBe('GET, HEAD')
})
