import { newRoutes } from '#src/http/api.ts'

/** The public keys of our access tokens. A key leaves the list only when no token that it signed is alive. */
export const jwksRoutes = newRoutes().get('/.well-known/jwks.json', async (c) =>
  c.json(await c.var.gate.tokens.jwks(), 200, { 'Cache-Control': 'public, max-age=300' }),
)
