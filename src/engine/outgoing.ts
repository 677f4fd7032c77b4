import { answerStep } from '#src/db/answers.ts'
import { findInOutbox, removeFromOutbox } from '#src/db/outbox.ts'
import { CallRefused, callRequest, type CallRequest } from '#src/domain/call.ts'
import type { TenantId } from '#src/domain/id.ts'
import type { EngineServices } from './services.ts'
import { wakeMessages } from './wake.ts'

/** Hands over a request that is still in the outbox. */
export async function handOver(
  services: EngineServices,
  { tenantId, outboxId }: { tenantId: TenantId; outboxId: number },
): Promise<void> {
  const found = await findInOutbox(services.database.tenant(tenantId, 'job'), 'call', outboxId)
  if (found) await handOverRequest(services, tenantId, outboxId, callRequest.parse(found.payload))
}

/**
 * Has QStash make the request, and then forgets it: in this order nothing is lost, and what is handed over twice within
 * QStash's ten minutes is made once. After a step's time is up nobody waits for it any more.
 */
export async function handOverRequest(
  services: EngineServices,
  tenantId: TenantId,
  outboxId: number,
  request: CallRequest,
): Promise<void> {
  const db = services.database.tenant(tenantId, 'job')
  const address = await services.answerTokens.read(request.token)
  if (address && address.expiresAtMs > services.now().getTime()) {
    try {
      await services.request(tenantId, request)
    } catch (error) {
      if (!(error instanceof CallRefused)) throw error
      const message = 'QStash, which makes the requests, refuses this one: look at its URL, headers and size.'
      const problem = { code: 'call_refused', message, retryable: false }
      const wake = await answerStep(db, address, { problem })
      if (wake) await services.send(tenantId, wakeMessages(tenantId, address.runId, [wake]))
    }
  }
  await removeFromOutbox(db, outboxId)
}
