import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import type { ClaimedStep, StepResult } from '#src/db/run-moves.ts'
import type { RunId, TenantId } from '#src/domain/id.ts'
import { codeOf, engineCalls, type EngineCalls } from './engine-calls.ts'

/** What becomes of a step that a Worker has claimed; 'die' says nothing any more, and its lease runs out. */
export type Fate = 'succeed' | 'fail' | 'retry' | 'die'
export type Chance = () => number

/** A repeatable source of chance (mulberry32): from 0 up to, not including, 1. */
export function chance(seed: number): Chance {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Workers that take whatever message the outbox holds, all at the same time, and now and then die of it. */
export class Crowd {
  private readonly owner: pg.Pool
  private readonly workers: EngineCalls[]
  private readonly tenantId: TenantId
  private deliveries = 0
  /** Deliveries that gave up because two of them waited for each other. */
  deadlocks = 0

  private constructor(owner: pg.Pool, workers: EngineCalls[], tenantId: TenantId) {
    this.owner = owner
    this.workers = workers
    this.tenantId = tenantId
  }

  static async gather(owner: pg.Pool, url: string, tenantId: TenantId, size: number): Promise<Crowd> {
    return new Crowd(
      owner,
      await Promise.all(Array.from({ length: size }, () => engineCalls(url, tenantId))),
      tenantId,
    )
  }

  async leave(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.end()))
  }

  /** Works until no run is open. `look` is asked all the while and throws when it sees what must not be. */
  async finish(fates: readonly Fate[], random: Chance, look?: () => Promise<void>): Promise<void> {
    const deadline = Date.now() + 20_000
    const failed: unknown[] = []
    let working = this.workers.length
    const endsAll = (work: () => Promise<void>) => work().catch((error: unknown) => failed.push(error))
    const all = this.workers.map(async (worker) => {
      await endsAll(async () => {
        while (failed.length === 0) {
          const message = await this.message(random)
          if (message) await this.deliver(worker, message, fates, random)
          else if ((await this.openRuns()) === 0) return
          else await this.timePasses(worker)
          if (Date.now() > deadline) throw new Error(`stuck: ${await this.standing()}`)
        }
      })
      working--
    })
    all.push(
      endsAll(async () => {
        while (look && working > 0 && failed.length === 0) await look()
      }).then(() => undefined),
    )
    await Promise.all(all)
    if (failed.length > 0) throw failed[0]
  }

  private async message(random: Chance): Promise<{ runId: RunId; id: number } | undefined> {
    const { rows } = await this.owner.query<{ runId: RunId; id: number }>(
      `select payload->>'runId' as "runId", id::int from outbox where tenant_id = $1 and kind = 'run' and coalesce(not_before <= now(), true) limit 50`,
      [this.tenantId],
    )
    return rows[Math.floor(random() * rows.length)]
  }

  private async deliver(
    worker: EngineCalls,
    { runId, id }: { runId: RunId; id: number },
    fates: readonly Fate[],
    random: Chance,
  ): Promise<void> {
    const delivery = `msg_${this.deliveries++}`
    let step: ClaimedStep | null | undefined
    const claimed = await codeOf(
      worker.claim(runId, id, delivery).then((claim) => {
        step = claim.outcome === 'claimed' ? claim.step : undefined
      }),
    )
    if (claimed === '40P01') this.deadlocks++
    else if (claimed !== 'ok') throw new Error(`a claim gave ${claimed}`)
    while (step) {
      const fate = fates[Math.floor(random() * fates.length)] ?? 'succeed'
      if (random() < 0.5) await pause(random() * 3)
      if (fate === 'die') {
        await this.owner.query(
          `update steps set lease_until = now() - interval '1 s' where tenant_id = $1 and run_id = $2 and key = $3 and fence = $4 and state = 'running'`,
          [this.tenantId, runId, step.key, step.fence],
        )
        return
      }
      const holds: ClaimedStep = step
      step = undefined
      const code = await codeOf(
        worker.complete(runId, holds, results[fate], delivery).then((completion) => {
          step = completion.step
        }),
      )
      if (code === '40P01') {
        this.deadlocks++
        step = holds
      } else if (code !== 'ok' && code !== 'WE001') throw new Error(`a completion gave ${code}`)
    }
  }

  /** Retries come due, and the tick looks for what lost its holder: nothing else may be needed to go on. */
  private async timePasses(worker: EngineCalls): Promise<void> {
    await pause(5)
    await this.owner.query(
      `update steps set next_attempt_at = now() where tenant_id = $1 and next_attempt_at > now()`,
      [this.tenantId],
    )
    await this.owner.query(
      `update outbox set not_before = now() where tenant_id = $1 and not_before > now()`,
      [this.tenantId],
    )
    await worker.client.query('select from app.sweep(1000)')
  }

  private async openRuns(): Promise<number> {
    const { rows } = await this.owner.query<{ n: number }>(
      'select count(*)::int as n from runs where tenant_id = $1 and finished_at is null',
      [this.tenantId],
    )
    return rows[0]?.n ?? 0
  }

  private async standing(): Promise<string> {
    const { rows } = await this.owner.query(
      `select right(r.id, 4) as run, r.state, s.key, s.state as step, s.attempt, s.next_attempt_at, s.lease_until,
         (select count(*)::int from outbox o where o.payload->>'runId' = r.id) as wakes
       from runs r join steps s on s.tenant_id = r.tenant_id and s.run_id = r.id and s.state not in ('succeeded', 'failed')
       where r.tenant_id = $1 and r.finished_at is null order by r.id, s.position limit 30`,
      [this.tenantId],
    )
    return `after ${this.deliveries} deliveries and ${this.deadlocks} deadlocks ${JSON.stringify(rows)}`
  }
}

const results: Record<Exclude<Fate, 'die'>, StepResult> = {
  succeed: { state: 'succeeded' },
  fail: { state: 'failed', error: { code: 'x', message: 'x' } },
  retry: { state: 'ready', delayMs: 60_000, error: { code: 'x', message: 'x' } },
}
