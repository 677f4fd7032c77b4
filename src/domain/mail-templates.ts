/** What a mail says: plain text and the same in small HTML. */
export type Letter = { subject: string; text: string; html: string }

type Words = {
  subject: string
  lines: readonly string[]
  link?: { words: string; url: string }
  after?: readonly string[]
}

const notYou = 'If you did not ask for this, you need not do anything: without the link nothing happens.'

/** Every mail that Weir writes to people. All that is filled in is text; links are ours. */
const templates = {
  verify: (data: { link: string }): Words => ({
    subject: 'Confirm your e-mail address',
    lines: ['Please confirm that this address is yours. The link is good for an hour.'],
    link: { words: 'Confirm the address', url: data.link },
    after: [notYou],
  }),
  link: (data: { link: string }): Words => ({
    subject: 'Your link to sign in',
    lines: ['Sign in to Weir with this link. It is good once, for 15 minutes.'],
    link: { words: 'Sign in', url: data.link },
    after: [notYou],
  }),
  reset: (data: { link: string }): Words => ({
    subject: 'Choose a new password',
    lines: ['Choose a new password for Weir with this link. It is good once, for 30 minutes.'],
    link: { words: 'Choose a password', url: data.link },
    after: [notYou],
  }),
  'password-changed': (data: { at: string; link: string }): Words => ({
    subject: 'Your password was changed',
    lines: [`The password of your account was changed on ${data.at}, and other sessions were ended.`],
    link: { words: 'It was not me: choose another password', url: data.link },
  }),
  change: (data: { link: string; email: string }): Words => ({
    subject: 'Confirm your new e-mail address',
    lines: [`Whoever signs in to Weir as ${data.email} wants to use this address from now on.`],
    link: { words: 'Use this address', url: data.link },
    after: ['The link is good for an hour.', notYou],
  }),
  undo: (data: { link: string; email: string }): Words => ({
    subject: 'Your e-mail address was changed',
    lines: [`Your account is signed in to as ${data.email} from now on.`],
    link: { words: 'It was not me: undo this', url: data.link },
    after: [
      'The link is good for three days. It brings this address back, ends every session and asks for a new password.',
    ],
  }),
  undone: (data: { link: string }): Words => ({
    subject: 'Your e-mail address is back',
    lines: ['Your account has this address again. All sessions were ended, and the password is gone.'],
    link: { words: 'Choose a password', url: data.link },
    after: ['The link is good once, for 30 minutes. After that, ask for another one at the sign-in.'],
  }),
  invitation: (data: { tenantName: string; inviter: string; link: string; expiresAt: string }): Words => ({
    subject: `You are invited to "${data.tenantName}" on Weir`,
    lines: [`${data.inviter} invites you to work with "${data.tenantName}" on Weir.`],
    link: { words: 'See the invitation', url: data.link },
    after: [`It can be used until ${data.expiresAt}.`, 'If you do not know them, you need not do anything.'],
  }),
  /** The record that proves a domain is not there: for the first time, or for so long that it does not count any more. */
  domain: (data: {
    state: 'missing' | 'lost'
    domain: string
    tenant: string
    record: string
    link: string
  }): Words => ({
    subject:
      data.state === 'missing'
        ? `The record that proves ${data.domain} is missing`
        : `${data.domain} is not proved any more`,
    lines: [
      data.state === 'missing'
        ? `"${data.tenant}" signs people of ${data.domain} in, and the TXT record that proves that the domain is yours is not there any more. If it is not back within seven days, nobody can sign in over this domain.`
        : `The TXT record of ${data.domain} was missing for a week. "${data.tenant}" does not sign in or take over anybody of this domain any more until it is proved again; where no other domain is proved, passwords and links are open again.`,
      `The record is: ${data.record}`,
    ],
    link: { words: 'Open Weir', url: data.link },
    after: ['If you have given the domain away, delete it in the settings of the organisation.'],
  }),
  /** Something about the account that its owner must hear of, such as another second factor. */
  security: (data: { subject: string; text: string; link: string }): Words => ({
    subject: data.subject,
    lines: [data.text],
    link: { words: 'Look at the account', url: data.link },
    after: ['If this was not you, choose a new password now.'],
  }),
} as const

export type MailTemplate = keyof typeof templates
export type MailData<T extends MailTemplate> = Parameters<(typeof templates)[T]>[0]
export const mailTemplates = Object.keys(templates) as [MailTemplate, ...MailTemplate[]]

/** Writes the mail. Whatever is filled in stays one line of plain text, so that it can be neither a header nor markup. */
export function writeMail<T extends MailTemplate>(template: T, data: MailData<T>): Letter {
  // Each template is asked only for the data that belongs to it.
  const write = templates[template] as (data: Record<string, string>) => Words
  const clean = Object.fromEntries(Object.entries(data).map(([name, value]) => [name, oneLine(value)]))
  const { subject, lines, link, after = [] } = write(clean)
  const text = [...lines, ...(link ? [`${link.words}:\n${link.url}`] : []), ...after, 'Weir'].join('\n\n')
  const paragraph = (inside: string) => `<p>${inside}</p>`
  const html = [
    ...lines.map((line) => paragraph(escaped(line))),
    ...(link ? [paragraph(`<a href="${escaped(link.url)}">${escaped(link.words)}</a>`)] : []),
    ...after.map((line) => paragraph(escaped(line))),
    paragraph('Weir'),
  ].join('\n')
  return {
    subject: subject.slice(0, 200),
    text: `${text}\n`,
    html: `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${escaped(subject)}</title></head><body>\n${html}\n</body></html>\n`,
  }
}

/** Control characters, line ends of every kind, and what turns the direction of text around. */
const oneLine = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, ' ').trim()

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (char) => entities[char] ?? char)
