import { describe, expect, it } from 'vitest'
import { linkUrl, newLinkToken } from '#src/domain/link-token.ts'
import { mailTemplates, writeMail, type MailData, type MailTemplate } from '#src/domain/mail-templates.ts'

const hostile = `<script>alert("x")</script>\r\nBcc: everybody@example.com\u2028'&\u202etxt.exe`
const all = {
  link: 'https://weir.test/verify#token=weir_link_a&for=change',
  at: hostile,
  email: hostile,
  tenantName: hostile,
  inviter: hostile,
  expiresAt: hostile,
  subject: hostile,
  text: hostile,
}

describe('mails', () => {
  it.each(mailTemplates)('%s: what is filled in is text, on one line, and nothing else', (name) => {
    // Every template finds its data among these.
    const letter = writeMail(name, all as unknown as MailData<MailTemplate> as never)
    expect(letter.subject).not.toMatch(/[\r\n\u2028\u202e]/)
    expect(letter.subject.length).toBeGreaterThan(5)
    expect(letter.subject.length).toBeLessThanOrEqual(200)
    expect(letter.html).not.toMatch(/<script|onerror|"x"/)
    expect(letter.html.match(/<a href="[^"<>]*">/g)).toHaveLength(1)
    expect(letter.html).toContain('#token=weir_link_a&amp;for=change">')
    expect(letter.text).toContain('\nhttps://weir.test/verify#token=weir_link_a&for=change\n')
    expect(letter.text).not.toMatch(/^Bcc:/m)
    expect(letter.text).not.toMatch(/[\u2028\u202e]/)
  })

  it('say what they are about', () => {
    const { subject, text } = writeMail('invitation', {
      tenantName: 'Acme & Sons',
      inviter: 'ann@example.com',
      link: 'https://weir.test/invitation#token=x',
      expiresAt: '2026-12-01',
    })
    expect(subject).toBe('You are invited to "Acme & Sons" on Weir')
    expect(text).toContain('ann@example.com invites you')
  })
})

describe('a link', () => {
  it('keeps its token behind the #, which no server sees', () => {
    const token = newLinkToken()
    for (const purpose of ['verify', 'link', 'reset', 'change', 'undo'] as const) {
      const url = new URL(linkUrl('https://weir.test', purpose, token))
      expect(url.search).toBe('')
      expect(url.hash).toContain(`token=${token}`)
    }
  })
})
