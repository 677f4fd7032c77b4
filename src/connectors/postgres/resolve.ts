import { isPublicAddress, judgeHost } from '#src/domain/address.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { isWorker, platformLookup, type Lookup } from '../lookup.ts'
import type { PostgresConnection } from './config.ts'

/**
 * `host` is what TLS checks, `address` what the socket connects to. They differ where the platform lets us choose: a name
 * that was judged must not resolve to something else a moment later.
 */
export type Target = { host: string; address: string }

/** Refuses hosts that are not public, by their name and by every address that the name has. */
export async function resolveTarget(
  connection: PostgresConnection,
  options: { allowPrivate?: boolean; lookup?: Lookup },
): Promise<Target> {
  const { name, config } = connection
  const allowPrivate = options.allowPrivate ?? false
  const verdict = judgeHost(config.host, { allowPrivate })
  if (!verdict.ok) throw refusal(connection, verdict.reason === 'malformed')
  const { host } = verdict
  if (allowPrivate || isPublicAddress(host)) return { host, address: host }
  const addresses = await (options.lookup ?? platformLookup)(host)
  if (!addresses.every(isPublicAddress)) throw refusal(connection, false)
  const address = addresses.find((one) => !one.includes(':')) ?? addresses[0]
  if (address !== undefined) return { host, address: isWorker() ? host : address }
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
