import type { KeptMail } from '#local/mail.ts'
import { until } from './until.ts'

export type { KeptMail }

/** What the stand-in for the mail service has taken in. */
export function mailbox(variables: Record<string, string>) {
  const mails = async (to: string): Promise<KeptMail[]> => {
    const url = `${variables['MAIL_URL'] ?? ''}?to=${encodeURIComponent(to)}`
    const answer = await fetch(url, { headers: { Authorization: `Bearer ${variables['MAIL_TOKEN'] ?? ''}` } })
    const { items } = (await answer.json()) as { items: KeptMail[] }
    return items
  }
  return {
    mails,
    mailedToken: async (to: string, subject: string): Promise<string> => {
      const found = await until(`a mail "${subject}" to ${to}`, async () =>
        (await mails(to)).findLast((mail) => mail.subject.startsWith(subject)),
      )
      return tokenIn(found)
    },
  }
}

/** The token of the link in a mail. */
export function tokenIn({ text }: KeptMail): string {
  const [, token] = /#token=([\w-]+)/.exec(text) ?? []
  if (token === undefined) throw new Error(`no link in: ${text}`)
  return token
}
