import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import * as z from 'zod'

const random = () => randomBytes(32).toString('base64url')
const make = {
  appPassword: random,
  warehousePassword: random,
  redisToken: random,
  qstashToken: random,
  qstashCurrentKey: () => `sig_${random()}`,
  qstashNextKey: () => `sig_${random()}`,
  mailToken: random,
  s3AccessKeyId: () => `local${randomBytes(6).toString('hex')}`,
  s3SecretAccessKey: random,
  claimKey: random,
  masterKey: random,
  tokenKey: () => JSON.stringify(generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })),
}
export type Secrets = Record<keyof typeof make, string>
const shape = z.record(z.string(), z.string())

/** Every secret of the local stack: made once, kept in `secrets.json`, readable by its owner only. */
export async function loadSecrets(dir: string): Promise<Secrets> {
  const path = join(dir, 'secrets.json')
  const known = await readKnown(path)
  const secrets = Object.fromEntries(
    Object.entries(make).map(([name, one]) => [name, known[name] ?? one()]),
  ) as Secrets
  if (Object.keys(make).some((name) => known[name] === undefined)) {
    await writeFile(`${path}.new`, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 })
    await rename(`${path}.new`, path)
  }
  return secrets
}

async function readKnown(path: string): Promise<Record<string, string>> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return {}
  try {
    return shape.parse(JSON.parse(text))
  } catch (cause) {
    throw new Error(`${path} is damaged: restore it, or delete its folder to start anew.`, { cause })
  }
}
