import type { Services } from '#src/actions/context.ts'
import type { JobHandlers } from './receive.ts'

/** What each job does; every one of them may run twice. */
export const jobHandlers = (services: Services): JobHandlers => ({
  // Loaded with the first job of its kind: an isolate that only answers requests starts without the engine.
  run: async (payload, delivery) => {
    const { deliver } = await import('#src/engine/deliver.ts')
    await deliver(services, payload, delivery)
  },
  'drop-stage': async (payload) => {
    const { dropStage } = await import('#src/actions/stages.ts')
    await dropStage(services, payload)
  },
  fire: async (payload) => {
    const { fire } = await import('#src/actions/fires.ts')
    await fire(services, payload)
  },
  call: async (payload) => {
    const { handOver } = await import('#src/engine/outgoing.ts')
    await handOver(services, payload)
  },
  notify: async (payload) => {
    const { deliverNotice } = await import('#src/engine/notices.ts')
    await deliverNotice(services, payload)
  },
  answer: async (payload) => {
    const { takeResponse } = await import('#src/engine/answers.ts')
    await takeResponse(services, payload)
  },
  'audit-stream': async (payload) => {
    const { deliverAuditStream } = await import('#src/engine/audit-stream.ts')
    await deliverAuditStream(services, payload)
  },
  mail: async (payload) => {
    const { deliverMail } = await import('#src/actions/mail.ts')
    await deliverMail(services, payload)
  },
  tick: async () => {
    const { tick } = await import('#src/actions/tick.ts')
    await tick(services)
  },
})
