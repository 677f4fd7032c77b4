import { readFile } from 'node:fs/promises'

/** Microseconds of CPU that the process used while that was done. */
export async function cpuOf(pid: number, work: () => Promise<void>): Promise<number> {
  const before = await ticks(pid)
  await work()
  return ((await ticks(pid)) - before) * 10_000
}

/** utime and stime of the process, in ticks of 10 ms (proc_pid_stat(5)). */
async function ticks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}
