import { readdir, readFile } from 'node:fs/promises'

/** Milliseconds of CPU by kind of process; one tick of /proc is 10 ms. */
type CpuMs = { worker: number; stack: number; postgres: number; redis: number }

/** What the Worker, the servers of the local stack (this process), PostgreSQL and Redis have used until now. */
export async function cpuMs(workerPid: number | undefined): Promise<CpuMs> {
  const found = await processes()
  const mine = descendants(found, process.pid)
  const of = (wanted: (name: string, pid: number) => boolean) =>
    mine.filter(({ name, pid }) => wanted(name, pid)).reduce((sum, { ticks }) => sum + ticks * 10, 0)
  return {
    worker: of((_, pid) => pid === workerPid),
    stack: of((_, pid) => pid === process.pid),
    postgres: of((name) => name === 'postgres'),
    redis: of((name) => name === 'redis-server'),
  }
}

export function used(before: CpuMs, after: CpuMs): CpuMs {
  return {
    worker: after.worker - before.worker,
    stack: after.stack - before.stack,
    postgres: after.postgres - before.postgres,
    redis: after.redis - before.redis,
  }
}

export const inWords = ({ worker, stack, postgres, redis }: CpuMs, per = 1): string =>
  `CPU ms: Worker ${show(worker / per)}, stack and bench ${show(stack / per)}, PostgreSQL ${show(postgres / per)}, Redis ${show(redis / per)}`

const show = (ms: number): string => (ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3))

type Process = { pid: number; parent: number; name: string; ticks: number }

async function processes(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))
  const all = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
      if (!stat) return []
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
      const sum = (from: number) => Number(fields[from]) + Number(fields[from + 1])
      // A backend of PostgreSQL that has ended is counted by the process that made it.
      const ticks = sum(11) + (name === 'postgres' ? sum(13) : 0)
      return [{ pid: Number(pid), parent: Number(fields[1]), name, ticks }]
    }),
  )
  return all.flat()
}

function descendants(all: readonly Process[], ancestor: number): Process[] {
  const children = Map.groupBy(all, ({ parent }) => parent)
  const found = all.filter(({ pid }) => pid === ancestor)
  for (let i = 0; i < found.length; i++) found.push(...(children.get(found[i]?.pid ?? 0) ?? []))
  return found
}
