/** A browser's part in a sign-in: keeps each site's cookies, follows no redirect by itself. */
export type Browser = {
  get(url: string, headers?: Record<string, string>): Promise<Response>
  post(url: string, body: string, contentType: string): Promise<Response>
  cookies(url: string): Map<string, string>
}

export function browser(): Browser {
  const jars = new Map<string, Map<string, string>>()
  const jarOf = (url: string) => {
    const { origin } = new URL(url)
    const jar = jars.get(origin) ?? new Map<string, string>()
    jars.set(origin, jar)
    return jar
  }
  const ask = async (url: string, init: RequestInit) => {
    const jar = jarOf(url)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { ...(init.headers as Record<string, string>), ...(cookie === '' ? {} : { cookie }) }
    const response = await fetch(url, { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';')
      const at = pair.indexOf('=')
      const [name, value] = [pair.slice(0, at), pair.slice(at + 1)]
      if (/max-age=0\b|expires=thu, 01 jan 1970/i.test(line)) jar.delete(name)
      else jar.set(name, value)
    }
    return response
  }
  return {
    get: (url, headers = {}) => ask(url, { headers }),
    post: (url, body, contentType) =>
      ask(url, {
        method: 'POST',
        headers: { 'Content-Type': contentType, Origin: new URL(url).origin },
        body,
      }),
    cookies: jarOf,
  }
}
