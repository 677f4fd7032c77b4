import * as z from 'zod'
import { answerSaml, readSamlMetadata } from '#src/actions/sso/answer.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { readForm } from '#src/http/body.ts'
import { clientOf, endSso } from '#src/http/sso.ts'
import { valid } from '#src/http/valid.ts'

const oneProvider = z.object({ id: ids.ssoProvider })

/** The two addresses that a provider of SAML knows of us. */
export const samlRoutes = newRoutes()
  .get('/:id/metadata', valid('param', oneProvider), async (c) =>
    c.body(await readSamlMetadata(c.var.gate.services, c.req.valid('param').id), 200, {
      'Content-Type': 'application/samlmetadata+xml; charset=utf-8',
    }),
  )
  .post('/:id/acs', valid('param', oneProvider), async (c) => {
    const form = await readForm(c.req)
    const { services } = c.var.gate
    const answered = await answerSaml(services, c.req.valid('param').id, form, clientOf(c))
    if (answered.outcome === 'refused') return endSso(c, answered)
    const back = new URLSearchParams({ state: answered.state, answer: answered.told })
    return c.redirect(`/v1/sso/callback?${back.toString()}`, 303)
  })
