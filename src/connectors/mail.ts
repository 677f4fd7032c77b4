/** Where mails are handed over: an HTTP API that takes {from, to, subject, text, html} with a bearer key. */
export type MailService = { url: string; token: string; from: string }
export type Mail = { id: string; to: string; subject: string; text: string; html: string }

const patienceMs = 10_000

/** Not handed over; `final` where trying again cannot help. */
export class MailRefused extends Error {
  override readonly name = 'MailRefused'
  readonly final: boolean

  constructor(words: string, final: boolean, cause?: unknown) {
    super(words, { cause })
    this.final = final
  }
}

/** Hands one mail over. The id is the same however often that is tried, so that a service that looks sends it once. */
export async function postMail(service: MailService, { id, ...mail }: Mail): Promise<void> {
  let response: Response
  try {
    response = await fetch(service.url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Authorization: `Bearer ${service.token}`,
        'Idempotency-Key': id,
        'User-Agent': 'Weir',
      },
      body: JSON.stringify({ from: service.from, ...mail }),
      redirect: 'manual',
      signal: AbortSignal.timeout(patienceMs),
    })
  } catch (cause) {
    throw new MailRefused('the mail service does not answer', false, cause)
  }
  await response.body?.cancel()
  if (response.ok) return
  // Of what the mail itself is to blame for; a wrong key or a wrong address of the service will be mended.
  const final = [400, 413, 422].includes(response.status)
  throw new MailRefused(`the mail service answered ${response.status}`, final)
}
