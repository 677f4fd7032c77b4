import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import * as z from 'zod'

import { claimPort, preferPort } from './ports.ts'

const names = {
  postgres: 'PostgreSQL',
  gateway: 'the Neon gateway',
  redis: 'Redis',
  qstash: 'QStash',
  s3: 'object storage',
  mail: 'the mail service',
  worker: 'the Worker',
} as const
type PortName = keyof typeof names
export type Ports = Partial<Record<PortName, number>>
const shape = z.partialRecord(z.enum(Object.keys(names) as [PortName, ...PortName[]]), z.number())

export type PortBook = { take(name: PortName, first?: number): Promise<number> }

/** Remembers which port each part had, so that addresses last from one start to the next. A wanted port is a must. */
export async function openPortBook(dir: string, wanted: Ports = {}): Promise<PortBook> {
  const path = join(dir, 'ports.json')
  const known = await readKnown(path)
  return {
    async take(name, first) {
      const must = wanted[name]
      const port =
        must === undefined ? await preferPort(known[name] ?? first) : await claimPort(must, names[name])
      known[name] = port
      await writeFile(path, `${JSON.stringify(known, null, 2)}\n`)
      return port
    },
  }
}

/** Which ports they were is a comfort, not a need. */
async function readKnown(path: string): Promise<Ports> {
  try {
    return shape.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    return {}
  }
}
