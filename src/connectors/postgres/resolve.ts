import { lookup, resolve4, resolve6 } from 'node:dns/promises'

import { isPublicAddress, judgeHost } from '#src/domain/address.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { PostgresConnection } from './config.ts'

/**
 * `host` is what TLS checks, `address` what the socket connects to. They differ where the platform lets us choose: a name
 * that was judged must not resolve to something else a moment later.
 */
export type Target = { host: string; address: string }

/** Refuses hosts that are not public, by their name and by every address that the name has. */
export async function resolveTarget(connection: PostgresConnection, allowPrivate: boolean): Promise<Target> {
  const verdict = judgeHost(connection.config.host, { allowPrivate })
  if (!verdict.ok) throw refusal(connection, verdict.reason === 'malformed')
  const { host } = verdict
  if (allowPrivate || isPublicAddress(host)) return { host, address: host }
  const { addresses, canPin } = await addressesOf(connection, host)
  if (!addresses.every(isPublicAddress)) throw refusal(connection, false)
  const address = addresses.find((one) => !one.includes(':')) ?? addresses[0]
  return { host, address: canPin && address !== undefined ? address : host }
}

async function addressesOf(
  connection: PostgresConnection,
  host: string,
): Promise<{ addresses: string[]; canPin: boolean }> {
  // Workers resolve names over HTTPS only, and connect by name only; there the platform itself reaches nothing private.
  const isWorker = navigator.userAgent === 'Cloudflare-Workers'
  const found = isWorker
    ? await Promise.all([resolve4(host), resolve6(host)].map((answer) => answer.catch(() => []))).then(
        (all) => all.flat(),
      )
    : await lookup(host, { all: true }).then(
        (all) => all.map(({ address }) => address),
        () => [],
      )
  if (found.length > 0) return { addresses: found, canPin: !isWorker }
  const { name, config } = connection
  throw new StepFailure('unknown_host', `Connection "${name}": the host ${config.host} is not known.`, {
    retryable: true,
  })
}

function refusal({ name, config }: PostgresConnection, isMalformed: boolean): StepFailure {
  return isMalformed
    ? new StepFailure(
        'bad_host',
        `Connection "${name}": "${config.host}" is not the name or address of a host.`,
      )
    : new StepFailure(
        'private_address',
        `Connection "${name}": ${config.host} is in a private network; Weir only connects to public addresses.`,
      )
}
