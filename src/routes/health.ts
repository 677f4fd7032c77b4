import { ping } from '#src/db/ping.ts'
import { Problem } from '#src/domain/problem.ts'
import { newRoutes } from '#src/http/api.ts'
import type { Gate } from '#src/http/gate.ts'

const patienceMs = 2_000
const keptMs = 1_000

type Health = { at: number; down: string[] }
/** Anyone may ask, so one look serves all who ask within a second. */
const latest = new WeakMap<Gate, Health>()

export const healthRoutes = newRoutes().get('/', async (c) => {
  const { gate } = c.var
  const { services } = gate
  const nowMs = services.now().getTime()
  let health = latest.get(gate)
  if (!health || nowMs - health.at > keptMs) {
    const answers = await Promise.all([
      answersSoon(ping(services.database)),
      answersSoon(services.cache.ping()),
    ])
    const down = ['database', 'cache'].filter((_, i) => answers[i] !== true)
    health = { at: nowMs, down }
    latest.set(gate, health)
  }
  if (health.down.length > 0) {
    const detail = `Does not answer: ${health.down.join(', ')}.`
    throw new Problem('unavailable', detail, { retryAfterMs: 5_000 })
  }
  return c.json({ status: 'ok' as const }, 200)
})

function answersSoon(call: Promise<unknown>): Promise<boolean> {
  const patience = AbortSignal.timeout(patienceMs)
  const tooLate = new Promise<boolean>((resolve) => {
    patience.addEventListener('abort', () => resolve(false))
  })
  const answered = call.then(
    () => true,
    () => false,
  )
  return Promise.race([answered, tooLate])
}
