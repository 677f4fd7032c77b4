import * as z from 'zod'

/** What a tenant tells Weir about a PostgreSQL server; the secret is sealed apart from it. */
export const postgresConfig = z.strictObject({
  host: z.string().trim().min(1).max(255),
  port: z.int().min(1).max(65_535).default(5432),
  database: z.string().min(1).max(63),
  user: z.string().min(1).max(63),
  /**
   * require: encrypted; verify-full: the certificate must also be trusted and the host's, as Workers always demand;
   * disable: in the clear.
   */
  ssl: z.enum(['require', 'verify-full', 'disable']).default('require'),
})
type PostgresConfig = z.output<typeof postgresConfig>

export const postgresSecret = z.strictObject({ password: z.string().min(1).max(1024) })
type PostgresSecret = z.output<typeof postgresSecret>

/** A connection opened by its name: the name is what every failure says. */
export type PostgresConnection = { name: string; config: PostgresConfig; secret: PostgresSecret }
