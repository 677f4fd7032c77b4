import type { Services } from './actions/context.ts'
import { serveConsole, type ConsoleFiles } from './http/console.ts'
import { newApp } from './http/middleware.ts'
import { jobHandlers } from './queues/handlers.ts'
import { jobRoutes } from './queues/receive.ts'
import { apiKeyRoutes } from './routes/api-keys.ts'
import { connectionRoutes } from './routes/connections.ts'
import { datasetRoutes } from './routes/datasets.ts'
import { healthRoutes } from './routes/health.ts'
import { jwksRoutes } from './routes/jwks.ts'
import { meRoutes } from './routes/me.ts'
import { pipelineRoutes } from './routes/pipelines.ts'
import { problemRoutes } from './routes/problems.ts'
import { runRoutes } from './routes/runs.ts'
import { schemaRoutes } from './routes/schemas.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { signUpRoutes } from './routes/sign-up.ts'

/** Every route there is. The typed client is made of what this returns. */
export function createApp(services: Services, files: ConsoleFiles = {}) {
  const { env } = services
  return newApp(services)
    .use(serveConsole(files))
    .route('/v1/health', healthRoutes)
    .route('/v1/sign-up', signUpRoutes)
    .route('/v1/sessions', sessionRoutes)
    .route('/v1/me', meRoutes)
    .route('/v1/api-keys', apiKeyRoutes)
    .route('/v1/connections', connectionRoutes)
    .route('/v1/datasets', datasetRoutes)
    .route('/v1/pipelines', pipelineRoutes)
    .route('/v1/runs', runRoutes)
    .route('/v1/schemas', schemaRoutes)
    .route('/', jwksRoutes)
    .route('/', problemRoutes)
    .route(
      '/jobs',
      jobRoutes({
        publicUrl: env.PUBLIC_URL,
        currentSigningKey: env.QSTASH_CURRENT_SIGNING_KEY,
        nextSigningKey: env.QSTASH_NEXT_SIGNING_KEY,
        handlers: jobHandlers(services),
        log: services.log,
      }),
    )
}

export type Api = ReturnType<typeof createApp>
