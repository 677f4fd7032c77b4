import { Problem } from '#src/domain/problem.ts'
import type { Services } from '../context.ts'

export const invalidField = (path: string, message: string): Problem =>
  new Problem('invalid', 'Some fields are not valid.', { fields: [{ path, message }] })

/** Says at once what every later request would be refused for. */
export async function refuseHost(services: Services, field: string, url: string): Promise<void> {
  const [{ publicUrl }, { StepFailure }] = await Promise.all([
    import('#src/connectors/public-url.ts'),
    import('#src/domain/failure.ts'),
  ])
  const { publicUrl: ownUrl, allowPrivateHosts: allowPrivate } = services
  try {
    await publicUrl(url, { ownUrl, allowPrivate })
  } catch (error) {
    if (error instanceof StepFailure) throw invalidField(field, error.message)
    throw error
  }
}
