import { isPublicAddress, judgeHost } from '#src/domain/address.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { platformLookup, type Lookup } from './lookup.ts'

/** Where HTTPS is usually spoken: Weir is nobody's tool to look at other ports. */
const ports: ReadonlySet<string> = new Set(['', '4443', '8443', '9443'])
const portNames = '443, 4443, 8443 and 9443'

/**
 * The URL that a tenant wants to be asked, when it may be: encrypted, without credentials in it, at a host that is public
 * by its name and by every address that the name has, and not our own. What QStash is asked to send to us it signs like
 * our own jobs.
 */
export async function publicUrl(
  text: string,
  options: { ownUrl: string; allowPrivate: boolean; lookup?: Lookup },
): Promise<URL> {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol))
    throw new StepFailure('bad_url', `"${text.slice(0, 200)}" is no URL that begins with https://.`)
  if (url.protocol === 'http:' && !options.allowPrivate)
    throw new StepFailure(
      'bad_url',
      `${url.host} must be asked over https: what is sent would be readable on its way.`,
    )
  if (url.username !== '' || url.password !== '')
    throw new StepFailure(
      'bad_url',
      'A URL must not hold a user or a password; send an Authorization header.',
    )
  if (!options.allowPrivate && !ports.has(url.port))
    throw new StepFailure('bad_url', `${url.host}: only the ports ${portNames} may be asked.`)
  const verdict = judgeHost(url.hostname, { allowPrivate: options.allowPrivate })
  if (!verdict.ok) throw refusal(url, verdict.reason === 'malformed')
  if (isOwn(url, new URL(options.ownUrl), options.allowPrivate))
    throw new StepFailure('own_host', `${url.host} is Weir itself: start pipelines with a pipeline step.`)
  if (options.allowPrivate || isPublicAddress(verdict.host)) return url
  const addresses = await (options.lookup ?? platformLookup)(verdict.host)
  if (!addresses.every(isPublicAddress)) throw refusal(url, false)
  if (addresses.length === 0)
    throw new StepFailure('unknown_host', `The host ${url.hostname} is not known.`, { retryable: true })
  return url
}

/** Every port of our own name leads to us, but on a laptop, where other servers share it. */
const isOwn = (url: URL, own: URL, isLaptop: boolean): boolean =>
  bare(url) === bare(own) && (!isLaptop || url.port === own.port)

const bare = ({ hostname }: URL): string => hostname.replace(/\.$/, '')

const refusal = (url: URL, isMalformed: boolean): StepFailure =>
  isMalformed
    ? new StepFailure('bad_url', `"${url.hostname}" is not the name or address of a host.`)
    : new StepFailure(
        'private_address',
        `${url.hostname} is in a private network; Weir only asks public addresses.`,
      )
