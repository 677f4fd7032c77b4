import * as z from 'zod'

export const integrationKinds = ['vault', 'airflow', 'gitlab'] as const
export type IntegrationKind = (typeof integrationKinds)[number]

const address = z.url({ protocol: /^https?$/ }).max(500)
const name = z.string().trim().min(1).max(200)
const credential = z.string().min(1).max(4_000)

/** Where the tenant's own system is, and what opens it; the secret only goes in. */
export const integrationShapes = {
  vault: z.strictObject({
    address,
    options: z.strictObject({ namespace: name.optional(), mount: name.optional() }).default({}),
    secret: z.union([
      z.strictObject({ token: credential }),
      z.strictObject({ roleId: credential, secretId: credential }),
    ]),
  }),
  airflow: z.strictObject({
    address,
    options: z.strictObject({}).default({}),
    secret: z.union([
      z.strictObject({ token: credential }),
      z.strictObject({ username: credential, password: credential }),
    ]),
  }),
  gitlab: z.strictObject({
    address,
    options: z.strictObject({ project: name.optional() }).default({}),
    secret: z.strictObject({ token: credential }),
  }),
} as const
