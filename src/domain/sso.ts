import * as z from 'zod'
import { judgeHost } from './address.ts'
import type { Id } from './id.ts'
import { ids } from './id.ts'

/** What a provider may make of somebody: any role but the owner's, which people give each other. */
export const ssoRole = z.union([
  z.enum(['admin', 'developer', 'analyst', 'operator', 'viewer', 'guest']),
  ids.role,
])
export type SsoRole = z.output<typeof ssoRole>

export const clientAuths = ['basic', 'post', 'none'] as const
export type ClientAuth = (typeof clientAuths)[number]

type AnyProvider = {
  id: Id<'ssoProvider'>
  name: string
  /** Who vouches: the issuer of OpenID Connect, the entity id of SAML. */
  issuer: string
  /** The claim or the attribute with the groups. */
  groupsClaim: string | null
  /** The first entry whose group somebody is in counts. */
  roleMap: { group: string; role: string }[]
  /** Of whoever is in none of the groups; null refuses them. */
  defaultRole: string | null
  /** Just in time: whoever the provider vouches for becomes a member at the first sign-in. */
  jit: boolean
  version: number
  createdAt: Date
  updatedAt: Date
}

export type OidcProvider = AnyProvider & {
  kind: 'oidc'
  clientId: string
  clientAuth: ClientAuth
  /** Sealed. */
  clientSecret: string | null
  scopes: string[]
}

export type SamlProvider = AnyProvider & {
  kind: 'saml'
  signInUrl: string
  /** As PEM; whatever one of them signs is believed. */
  certificates: string[]
  /** Null takes the name id, where it is an address. */
  emailAttribute: string | null
  nameAttribute: string | null
}

export type SsoProvider = OidcProvider | SamlProvider

/** Whom a provider vouches for, however it says so. */
export type Vouched = {
  subject: string
  email: string | undefined
  emailVerified: boolean
  name: string | undefined
  groups: string[]
  /** How they signed in there, as far as it says so. */
  amr: string[]
}

export type SsoDomain = {
  domain: string
  token: string
  providerId: Id<'ssoProvider'> | null
  verifiedAt: Date | null
  /** When its record was looked for last, since when it is missing, and when the domain stopped being proved by that. */
  lookedAt: Date | null
  missingSince: Date | null
  lostAt: Date | null
  createdAt: Date
}

/** The record that proves a domain, as the tenant must write it. */
export const verificationRecord = (token: string): string => `weir-verification=${token}`

/** A public domain as DNS writes it (lower case, punycode, no dot at the end); undefined when it is none. */
export function domainName(text: string): string | undefined {
  const verdict = judgeHost(text.trim())
  return verdict.ok && /^([a-z0-9-]+\.)+[a-z][a-z0-9-]*$/.test(verdict.host) ? verdict.host : undefined
}

/** The domain of an e-mail address, in the form above. */
export function domainOfAddress(email: string): string | undefined {
  const at = email.lastIndexOf('@')
  return at < 1 ? undefined : domainName(email.slice(at + 1))
}

/**
 * A path of ours to go to after signing in, or undefined. Whatever a browser could read as another site (`//`, `/\`, control
 * characters) is refused, and so is what is not a page.
 */
export function ownPath(text: string, ownUrl: string): string | undefined {
  if (text.length > 500 || !/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(text)) return undefined
  const own = new URL(ownUrl)
  const url = URL.parse(text, own)
  if (!url || url.origin !== own.origin || /^\/(v\d+|scim|jobs)(\/|$)/.test(url.pathname)) return undefined
  if (url.pathname.startsWith('//')) return undefined
  return `${url.pathname}${url.search}${url.hash}`
}

/** The texts of a claim that lists groups: a list, one text, or texts separated by commas. */
export function groupsOf(claim: unknown): string[] {
  const values = Array.isArray(claim) ? claim : typeof claim === 'string' ? claim.split(',') : []
  const texts = values.flatMap((value: unknown) => (typeof value === 'string' ? [value.trim()] : []))
  return [...new Set(texts.filter((text) => text !== '' && text.length <= 256))].slice(0, 2_000)
}
