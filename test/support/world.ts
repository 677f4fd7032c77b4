import { inject } from 'vitest'
import type { Services } from '#src/actions/context.ts'
import type { PasswordCost } from '#src/actions/passwords.ts'
import { createApp } from '#src/app.ts'
import { readEnv } from '#src/env.ts'
import type { ConsoleFiles } from '#src/http/console.ts'
import { buildServices } from '#src/services.ts'
import { grammar } from './grammar.ts'
import { meteredQuickjs } from './metered-quickjs.ts'
import { serve } from './server.ts'
import { mailbox, type KeptMail } from './mailbox.ts'
import { newTenant, type Tenant } from './tenant.ts'

export { password, type Tenant } from './tenant.ts'

export type World = {
  url: string
  app: ReturnType<typeof createApp>
  services: Services
  /** A fresh tenant with its owner and an API key. */
  tenant(): Promise<Tenant>
  /** The mails that have come for an address so far, oldest first. */
  mails: (to: string) => Promise<KeptMail[]>
  /** Waits for the newest mail to an address whose subject begins like this, and gives the token of its link. */
  mailedToken: (to: string, subject: string) => Promise<string>
  /** Proves the address of a tenant's owner by the mail that signing up sent. */
  verify(tenant: Tenant): Promise<void>
  close(): Promise<void>
}

/** What a hash really costs is tested where it matters; a thousand sign-ups would be half of all the tests' time. */
const cheap: PasswordCost = { ln: 8, r: 8, p: 1 }

/** The real app on the run's real services, reachable over HTTP so that jobs are delivered to it. */
export async function world(
  change: (services: Services) => Services = (services) => services,
  variables: Record<string, string> = inject('env'),
  files: ConsoleFiles = {},
): Promise<World> {
  let app: ReturnType<typeof createApp> | undefined
  const pending = new Set<Promise<unknown>>()
  const platform = {
    // Sign-ins are limited by address, and all the tests share one Redis.
    address: `198.${[18, 250, 250].map((most) => Math.floor(Math.random() * most)).join('.')}`,
    waitUntil(promise: Promise<unknown>) {
      pending.add(promise)
      promise.finally(() => pending.delete(promise)).catch(() => undefined)
    },
  }
  const server = await serve(() => (request) => {
    if (!app) throw new Error('the world is not ready')
    return app.fetch(request, platform)
  })
  const env = readEnv({ ...variables, PUBLIC_URL: server.url })
  const built = buildServices(env, await grammar(), meteredQuickjs)
  const services = change({ ...built, passwordCost: cheap, log: () => undefined })
  const made = createApp(services, files)
  app = made
  const { mails, mailedToken } = mailbox(variables)

  return {
    url: server.url,
    app: made,
    services,
    tenant: () =>
      newTenant(server.url, (request, address) =>
        Promise.resolve(made.fetch(request, address === undefined ? platform : { ...platform, address })),
      ),
    mails,
    mailedToken,
    async verify({ email }) {
      const token = await mailedToken(email, 'Confirm your e-mail address')
      const answer = await fetch(`${server.url}/v1/accounts/verify`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ token }),
      })
      if (answer.status !== 200) throw new Error(`verify: ${answer.status} ${await answer.text()}`)
    },
    async close() {
      await Promise.allSettled(pending)
      await server.close()
    },
  }
}
