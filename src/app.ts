import type { Services } from './actions/context.ts'
import { serveConsole, type ConsoleFiles } from './http/console.ts'
import { newApp } from './http/middleware.ts'
import { jobHandlers } from './queues/handlers.ts'
import { jobRoutes } from './queues/receive.ts'
import { accountRoutes } from './routes/accounts.ts'
import { accessRoutes, ownPermissionRoutes } from './routes/access.ts'
import { alertRoutes } from './routes/alerts.ts'
import { apiKeyRoutes, ownKeyRoutes } from './routes/api-keys.ts'
import { approvalListRoutes, approvalRoutes } from './routes/approvals.ts'
import { auditRoutes } from './routes/audit.ts'
import { auditStreamRoutes } from './routes/audit-streams.ts'
import { backfillRoutes, pipelineBackfillRoutes } from './routes/backfills.ts'
import { calendarRoutes } from './routes/calendars.ts'
import { callbackRoutes } from './routes/callbacks.ts'
import { channelRoutes } from './routes/channels.ts'
import { connectionRoutes } from './routes/connections.ts'
import { datasetRoutes } from './routes/datasets.ts'
import { deadLetterRoutes } from './routes/dead-letters.ts'
import { eventRoutes, webhookRoutes } from './routes/events.ts'
import { factorRoutes, memberFactorRoutes, stepUpRoutes } from './routes/factors.ts'
import { grantRoutes } from './routes/grants.ts'
import { healthRoutes } from './routes/health.ts'
import { integrationRoutes } from './routes/integrations.ts'
import { invitationRoutes } from './routes/invitations.ts'
import { jwksRoutes } from './routes/jwks.ts'
import { meRoutes } from './routes/me.ts'
import { memberRoutes } from './routes/members.ts'
import { memberSessionRoutes } from './routes/member-sessions.ts'
import { membershipRoutes } from './routes/memberships.ts'
import { pipelineRoutes } from './routes/pipelines.ts'
import { problemRoutes } from './routes/problems.ts'
import { projectRoutes } from './routes/projects.ts'
import { roleRoutes } from './routes/roles.ts'
import { runRoutes } from './routes/runs.ts'
import { scheduleRoutes } from './routes/schedules.ts'
import { schemaRoutes } from './routes/schemas.ts'
import { passkeySignInRoutes, secondStepRoutes } from './routes/second-step.ts'
import { serviceAccountRoutes } from './routes/service-accounts.ts'
import { scimRoutes } from './routes/scim.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { signUpRoutes } from './routes/sign-up.ts'
import { ssoRoutes } from './routes/sso.ts'
import { samlRoutes } from './routes/sso-saml.ts'
import { switchRoutes } from './routes/switch.ts'
import { teamRoutes } from './routes/teams.ts'
import { tenantRoutes } from './routes/tenant.ts'
import { usageRoutes } from './routes/usage.ts'

/** Every route there is. The typed client is made of what this returns. */
export function createApp(services: Services, files: ConsoleFiles = {}) {
  const { env } = services
  return newApp(services)
    .use(serveConsole(files))
    .route('/v1/health', healthRoutes)
    .route('/v1/sign-up', signUpRoutes)
    .route('/v1/sessions', sessionRoutes)
    .route('/v1/sessions', switchRoutes)
    .route('/v1/accounts', accountRoutes)
    .route('/v1/members', memberSessionRoutes)
    .route('/v1/sessions/factor', secondStepRoutes)
    .route('/v1/sessions/passkey', passkeySignInRoutes)
    .route('/v1/me', meRoutes)
    .route('/v1/me/factors', factorRoutes)
    .route('/v1/me/step-up', stepUpRoutes)
    .route('/v1/me/permissions', ownPermissionRoutes)
    .route('/v1/roles', roleRoutes)
    .route('/v1/grants', grantRoutes)
    .route('/v1/access', accessRoutes)
    .route('/v1/api-keys', apiKeyRoutes)
    .route('/v1/me/api-keys', ownKeyRoutes)
    .route('/v1/service-accounts', serviceAccountRoutes)
    .route('/v1/callbacks', callbackRoutes)
    .route('/v1/channels', channelRoutes)
    .route('/v1/connections', connectionRoutes)
    .route('/v1/datasets', datasetRoutes)
    .route('/v1/dead-letters', deadLetterRoutes)
    .route('/v1/pipelines', pipelineRoutes)
    .route('/v1/pipelines', pipelineBackfillRoutes)
    .route('/v1/pipelines', webhookRoutes)
    .route('/v1/audit/streams', auditStreamRoutes)
    .route('/v1/audit', auditRoutes)
    .route('/v1/backfills', backfillRoutes)
    .route('/v1/calendars', calendarRoutes)
    .route('/v1/events', eventRoutes)
    .route('/v1/runs', runRoutes)
    .route('/v1/runs', approvalRoutes)
    .route('/v1/alerts', alertRoutes)
    .route('/v1/approvals', approvalListRoutes)
    .route('/v1/schedules', scheduleRoutes)
    .route('/v1/schemas', schemaRoutes)
    .route('/v1/sso', ssoRoutes)
    .route('/v1/sso/providers', samlRoutes)
    .route('/v1/tenant', tenantRoutes)
    .route('/v1/usage', usageRoutes)
    .route('/v1/tenant/integrations', integrationRoutes)
    .route('/v1/members', memberRoutes)
    .route('/v1/members', memberFactorRoutes)
    .route('/v1/invitations', invitationRoutes)
    .route('/v1/teams', teamRoutes)
    .route('/v1/projects', projectRoutes)
    .route('/v1/me', membershipRoutes)
    .route('/scim/v2', scimRoutes)
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
