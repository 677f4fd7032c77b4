import type { NewLink } from '#src/db/account-links.ts'
import { sha256 } from '#src/domain/digest.ts'
import { linkMs, linkUrl, newLinkToken, type LinkPurpose } from '#src/domain/link-token.ts'
import { Problem } from '#src/domain/problem.ts'
import type { Services } from './context.ts'
import { prepareMail, type PreparedMail } from './mail.ts'

export type PreparedLink = NewLink & { mail: PreparedMail }

/** A new link in a mail to `to`, of which nothing is kept yet. The same work whether there is anybody to send it to. */
export async function prepareLink(
  services: Services,
  purpose: LinkPurpose,
  to: string,
  words:
    | { template: 'verify' | 'link' | 'reset' | 'undone' }
    | { template: 'change' | 'undo'; email: string } = {
    template: purpose === 'change' || purpose === 'undo' ? 'verify' : purpose,
  },
): Promise<PreparedLink> {
  const token = newLinkToken()
  const link = linkUrl(services.publicUrl, purpose, token)
  const mail = await prepareMail(
    services,
    'email' in words
      ? { to, template: words.template, data: { link, email: words.email } }
      : { to, template: words.template, data: { link } },
  )
  return {
    tokenHash: await sha256(token),
    expiresAt: new Date(services.now().getTime() + linkMs[purpose]),
    mail,
  }
}

/** Unknown, used, expired and meant for something else are one answer. */
export const unusable = (): Problem =>
  new Problem('gone', 'This link cannot be used (any more). Ask for a new one.')
