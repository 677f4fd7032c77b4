import { dueDomains, noteDomainLook, type DueDomain } from '#src/db/sso-domains.ts'
import { verificationRecord } from '#src/domain/sso.ts'
import type { Services } from '../context.ts'
import { prepareMail } from '../mail.ts'

/** One tick's share, and how many resolvers' answers are waited for at once. */
const most = { domains: 30, atOnce: 6 }
/** How long one tick goes on with it; what was handed out and not looked at is due again in an hour. */
const budgetMs = 15_000

/**
 * The tick's share of looking whether proved domains still are: each about daily. What cannot be asked is asked again in an
 * hour and counts for nothing.
 */
export async function lookAfterDomains(services: Services): Promise<void> {
  const until = services.now().getTime() + budgetMs
  const waiting = await dueDomains(services.database, most.domains)
  const look = async (): Promise<void> => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      if (services.now().getTime() >= until) return
      await lookAt(services, next)
    }
  }
  await Promise.all(Array.from({ length: Math.min(most.atOnce, waiting.length) }, look))
}

async function lookAt(services: Services, due: DueDomain): Promise<void> {
  const { tenantId, domain, token } = due
  try {
    const { txtRecords } = await import('#src/connectors/txt-records.ts')
    const records = await txtRecords(services.env.DOH_URL, domain)
    const isThere = records.some((record) => record.trim() === verificationRecord(token))
    const mails = isThere ? [] : await mailsOf(services, due)
    const outcome = await noteDomainLook(services.database, due, isThere, mails)
    if (outcome !== 'missing' && outcome !== 'lost') return
    services.log({ event: `domain.${outcome}`, tenantId, domain })
    for (const { announce } of mails) await announce()
  } catch (error) {
    // The others' turn comes all the same.
    services.log({
      event: 'domain.not_looked_at',
      tenantId,
      domain,
      name: error instanceof Error ? error.name : typeof error,
    })
  }
}

const mailsOf = (services: Services, due: DueDomain) =>
  Promise.all(
    due.emails.map((to) =>
      prepareMail(services, { to, template: 'domain', data: told(due, services.publicUrl) }),
    ),
  )

/** Of a domain that was missed before there is only one more thing to tell. */
const told = ({ domain, token, tenant, misses }: DueDomain, link: string) => ({
  domain,
  tenant,
  record: verificationRecord(token),
  link,
  state: misses === 0 ? ('missing' as const) : ('lost' as const),
})
