import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider, { type Configuration } from 'oidc-provider'
import type { Browser } from './browser.ts'

export type Claims = { email?: string; email_verified?: boolean; name?: string; groups?: string[] }

/** A real identity provider in this process: oidc-provider, unmodified, with its own sign-in pages. */
export type IdentityProvider = {
  issuer: string
  /** Who is there, by login; the login is the subject. */
  people: Map<string, Claims>
  /** How many requests came for a path that begins like this. */
  asked(path: string): number
  /** Walks a browser through its pages; gives where the provider sends it back to. */
  signIn(browser: Browser, authorizationUrl: string, login: string): Promise<string>
  close(): Promise<void>
}

export const clientSecret = 'a secret of more than 32 characters & signs: %+/'

/** Clients: `basic`, `post` and `public`, by how they prove who they are. */
export async function identityProvider(redirectUri: string): Promise<IdentityProvider> {
  const people = new Map<string, Claims>()
  const paths: string[] = []
  let handle: ReturnType<Provider['callback']> | undefined
  const server: Server = createServer((request, response) => {
    paths.push(request.url ?? '')
    void handle?.(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = { redirect_uris: [redirectUri], grant_types: ['authorization_code'] }
  const configuration: Configuration = {
    clients: [
      { ...client, client_id: 'basic', client_secret: clientSecret },
      {
        ...client,
        client_id: 'post',
        client_secret: clientSecret,
        token_endpoint_auth_method: 'client_secret_post',
      },
      { ...client, client_id: 'public', token_endpoint_auth_method: 'none' },
    ],
    claims: { email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    scopes: ['openid', 'email', 'profile', 'groups'],
    cookies: { keys: ['test'] },
    jwks: { keys: [await newKey()] },
    findAccount: (_, login) => ({
      accountId: login,
      claims: () => ({ sub: login, ...people.get(login) }),
    }),
  }
  handle = quietly(() => new Provider(issuer, configuration).callback())
  return {
    issuer,
    people,
    asked: (path) => paths.filter((one) => one.startsWith(path)).length,
    async signIn(browser, authorizationUrl, login) {
      let url = authorizationUrl
      for (let steps = 0; steps < 12; steps++) {
        let answer = await browser.get(url)
        if (answer.status === 200) answer = await submitted(browser, url, await answer.text(), login)
        const location = answer.headers.get('location')
        if (location === null)
          throw new Error(`the provider answers ${answer.status}: ${await answer.text()}`)
        url = new URL(location, url).href
        if (!url.startsWith(issuer)) return url
      }
      throw new Error('the provider never sends back')
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Its sign-in page takes any password; its consent page has nothing to fill in. */
function submitted(browser: Browser, url: string, page: string, login: string): Promise<Response> {
  const [, action] = /<form[^>]* action="([^"]+)"/.exec(page) ?? []
  const [, prompt] = /name="prompt" value="([^"]+)"/.exec(page) ?? []
  if (action === undefined || prompt === undefined) throw new Error(`no form: ${page.slice(0, 2000)}`)
  const form = new URLSearchParams({ prompt, ...(prompt === 'login' ? { login, password: 'any' } : {}) })
  return browser.post(
    new URL(action.replaceAll('&amp;', '&'), url).href,
    form.toString(),
    'application/x-www-form-urlencoded',
  )
}

async function newKey() {
  const pair = (await crypto.subtle.generateKey(
    {
      name: 'RSASSA-PKCS1-v1_5',
      modulusLength: 2048,
      publicExponent: new Uint8Array([1, 0, 1]),
      hash: 'SHA-256',
    },
    true,
    ['sign', 'verify'],
  )) as CryptoKeyPair
  const jwk = await crypto.subtle.exportKey('jwk', pair.privateKey)
  const { key_ops: _, ext: __, ...key } = jwk
  return { ...key, kid: crypto.randomUUID(), use: 'sig', alg: 'RS256' }
}

/** It warns about what is meant for tests alone. */
function quietly<T>(work: () => T): T {
  const { warn, info } = console
  Object.assign(console, { warn: () => undefined, info: () => undefined })
  try {
    return work()
  } finally {
    Object.assign(console, { warn, info })
  }
}
