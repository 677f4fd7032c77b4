import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import type { Fault } from '#local/neon/faults.ts'
import { startPostgres } from '#local/postgres.ts'
import { startQstash } from '#local/qstash.ts'
import type { Stack } from '#local/stack.ts'
import type { Random } from './random.ts'
import type { Trouble } from './trouble.ts'
import type { Workers } from './workers.ts'

type Scene = { stack: Stack; workers: Workers; owner: pg.Pool; from: Random }

/** Messages go wrong from here on for as long as the stage stands; everything else when it is asked for. */
export function makeTrouble({ stack, workers, owner, from }: Scene) {
  let { postgres, qstash } = stack.parts
  const { gateway, redis } = stack.parts
  if (!qstash || !gateway || !redis) throw new Error('a part is not a stand-in here')
  armMessages(qstash, from.below(200))
  const ask = (statement: string) => owner.query(statement).catch(() => undefined)
  const expire = () => ask(`update steps set lease_until = now() - interval '1 s' where state = 'running'`)
  const gatewayFault = async (fault: Fault, times: number) => {
    const undo = gateway.faults.inject(fault, { times })
    await pause(400)
    undo()
  }

  const troubles: Record<Trouble, () => Promise<unknown>> = {
    async kill() {
      await workers.kill(from.below(2))
      await expire()
    },
    freeze: () =>
      workers.freeze(from.below(2), async () => {
        await pause(200)
        await expire()
        // Time for the other one to take over what this one still believes to hold.
        await pause(400)
      }),
    cut: () =>
      ask(
        `select pg_terminate_backend(pid) from pg_stat_activity where usename in ('weir_app', 'warehouse')`,
      ),
    hangUp: async () => gateway.faults.cutSessions(),
    refuse: () => gatewayFault({ kind: 'refuse' }, 4),
    deafen: () => gatewayFault({ kind: 'dropReply' }, 4),
    slow: () => gatewayFault({ kind: 'latency', ms: 200 }, 20),
    expire,
    async forget() {
      const undo = redis.faults.inject({ kind: 'refuse' })
      await pause(300)
      undo()
    },
    async crash() {
      await workers.killAll(async () => {
        await qstash?.kill()
        const { rows } = await owner.query<{ pid: number }>('select pid from pg_stat_activity')
        await postgres.kill()
        // What was forked while the server died would go on writing into the files that it recovers.
        for (const { pid } of rows) end(pid)
        postgres = await startPostgres({
          dir: join(stack.dir, 'postgres'),
          port: postgres.port,
          durability: 'kill',
        })
        qstash = await startQstash({
          dir: join(stack.dir, 'qstash'),
          port: Number(new URL(stack.env['QSTASH_URL'] ?? '').port),
          token: stack.env['QSTASH_TOKEN'] ?? '',
          currentSigningKey: stack.env['QSTASH_CURRENT_SIGNING_KEY'] ?? '',
          nextSigningKey: stack.env['QSTASH_NEXT_SIGNING_KEY'] ?? '',
        })
        armMessages(qstash, from.below(200))
      })
      await expire()
    },
  }

  let striking: Promise<unknown> = Promise.resolve()
  let struckMs = 0
  /** What takes a process away comes one after the other: two of them would give it back to each other. */
  const inTurn = (trouble: Trouble): Promise<unknown> => {
    if (!processes.has(trouble)) return troubles[trouble]()
    const next = striking.then(() => troubles[trouble]())
    striking = next.catch(() => undefined)
    return next
  }
  return {
    strike: async (trouble: Trouble): Promise<void> => {
      await inTurn(trouble)
      struckMs = Date.now()
    },
    struckMs: () => struckMs,
    /** Ends what has replaced a part of the stack. */
    stop: async (): Promise<void> => {
      await striking
      if (qstash !== stack.parts.qstash) await qstash?.stop()
      if (postgres !== stack.parts.postgres) await postgres.stop()
    },
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

const processes: ReadonlySet<Trouble> = new Set(['kill', 'freeze', 'crash'])

/** Messages come twice, late, in another order, or not at all. */
function armMessages({ control }: NonNullable<Stack['parts']['qstash']>, offset: number): void {
  control.setBackoff(150)
  control.inject({ kind: 'duplicate', afterMs: 20 + offset }, { every: 3 })
  control.inject({ kind: 'reorder', ms: 150 })
  control.inject({ kind: 'delay', ms: 300 }, { every: 10 })
  control.inject({ kind: 'dropAttempt' }, { every: 7 })
  control.inject({ kind: 'losePublish' }, { every: 11 })
  control.inject({ kind: 'loseReply' }, { every: 17 })
  control.inject({ kind: 'dropAck' }, { every: 13 })
}
