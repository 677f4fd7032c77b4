import { newRoutes } from '#src/http/api.ts'

/** The JSON Schema of a definition, so that editors complete it. */
export const schemaRoutes = newRoutes().get('/pipeline.json', async (c) => {
  const { pipelineJsonSchema } = await import('#src/domain/pipeline.ts')
  return c.json(pipelineJsonSchema() as object, 200, {
    'Content-Type': 'application/schema+json',
    'Cache-Control': 'public, max-age=3600',
  })
})
