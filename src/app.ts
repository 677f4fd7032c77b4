import type { Services } from './actions/context.ts'
import { serveConsole, type ConsoleFiles } from './http/console.ts'
import { newApp } from './http/middleware.ts'
import { jobHandlers } from './queues/handlers.ts'
import { jobRoutes } from './queues/receive.ts'
import { alertRoutes } from './routes/alerts.ts'
import { apiKeyRoutes } from './routes/api-keys.ts'
import { approvalRoutes } from './routes/approvals.ts'
import { backfillRoutes, pipelineBackfillRoutes } from './routes/backfills.ts'
import { calendarRoutes } from './routes/calendars.ts'
import { callbackRoutes } from './routes/callbacks.ts'
import { channelRoutes } from './routes/channels.ts'
import { connectionRoutes } from './routes/connections.ts'
import { datasetRoutes } from './routes/datasets.ts'
import { deadLetterRoutes } from './routes/dead-letters.ts'
import { eventRoutes, webhookRoutes } from './routes/events.ts'
import { healthRoutes } from './routes/health.ts'
import { jwksRoutes } from './routes/jwks.ts'
import { meRoutes } from './routes/me.ts'
import { pipelineRoutes } from './routes/pipelines.ts'
import { problemRoutes } from './routes/problems.ts'
import { runRoutes } from './routes/runs.ts'
import { schemaRoutes } from './routes/schemas.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { signUpRoutes } from './routes/sign-up.ts'
import { tenantRoutes } from './routes/tenant.ts'

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
    .route('/v1/callbacks', callbackRoutes)
    .route('/v1/channels', channelRoutes)
    .route('/v1/connections', connectionRoutes)
    .route('/v1/datasets', datasetRoutes)
    .route('/v1/dead-letters', deadLetterRoutes)
    .route('/v1/pipelines', pipelineRoutes)
    .route('/v1/pipelines', pipelineBackfillRoutes)
    .route('/v1/pipelines', webhookRoutes)
    .route('/v1/backfills', backfillRoutes)
    .route('/v1/calendars', calendarRoutes)
    .route('/v1/events', eventRoutes)
    .route('/v1/runs', runRoutes)
    .route('/v1/runs', approvalRoutes)
    .route('/v1/alerts', alertRoutes)
    .route('/v1/schemas', schemaRoutes)
    .route('/v1/tenant', tenantRoutes)
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
