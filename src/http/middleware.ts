import type { Hono } from 'hono'
import type { Services } from '#src/actions/context.ts'
import { admit } from './admit.ts'
import { newRoutes, type ApiEnv } from './api.ts'
import { openGate } from './gate.ts'
import { idempotency } from './idempotency.ts'
import { observe } from './observe.ts'
import { onError, onNotFound } from './problems.ts'
import { refuseOddRequests } from './request-shape.ts'

/**
 * An app with the whole stack, in its order: observe everything; refuse what is not one clear request; under /v1
 * authenticate, limit, and make a repeated POST happen once. Routes are chained onto it.
 */
export function newApp(services: Services): Hono<ApiEnv> {
  const app = newRoutes()
  app.use(observe(openGate(services)), refuseOddRequests())
  app.use('/v1/*', admit(), idempotency(app))
  app.use('/scim/*', admit())
  app.onError(onError)
  app.notFound(onNotFound(app))
  return app
}
