import * as z from 'zod'
import { invalidValue, scimSchemas, type ScimUser, type ScimUserWrite } from '#src/domain/scim.ts'

/** Attributes that Weir keeps as they come and gives back, without doing anything with them. */
const kept = [
  'name',
  'nickName',
  'profileUrl',
  'title',
  'userType',
  'preferredLanguage',
  'locale',
  'timezone',
  'emails',
  'phoneNumbers',
  'ims',
  'photos',
  'addresses',
  'entitlements',
  'roles',
  'x509Certificates',
  scimSchemas.enterprise,
] as const

const canonical = new Map(
  ['schemas', 'id', 'externalId', 'userName', 'displayName', 'active', 'meta', 'groups', ...kept].map(
    (name) => [name.toLowerCase(), name],
  ),
)

/** Attribute names have no case; this is how the schema writes this one. */
export const attributeName = (name: string): string => canonical.get(name.toLowerCase()) ?? name

const text = (most: number) => z.string().trim().max(most)
/** Entra sends the text "False". */
const truth = z.union([
  z.boolean(),
  z.enum(['true', 'false', 'True', 'False']).transform((t) => /^t/i.test(t)),
])
const email = z.looseObject({
  value: text(254).optional(),
  type: text(50).optional(),
  primary: truth.optional(),
})
const shape = z.looseObject({
  userName: text(254).min(1),
  externalId: text(255).nullish(),
  displayName: text(255).nullish(),
  active: truth.optional(),
  name: z.looseObject({ givenName: text(255).nullish(), familyName: text(255).nullish() }).nullish(),
  emails: z.array(email).max(20).nullish(),
})

/** What a provider sent, as it is stored. `active` says what holds where nothing is said of it. */
export function userOf(resource: Readonly<Record<string, unknown>>, active: boolean): ScimUserWrite {
  const named = Object.fromEntries(
    Object.entries(resource).map(([name, value]) => [attributeName(name), value]),
  )
  const parsed = shape.safeParse(named)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw invalidValue(`${issue?.path.join('.') ?? 'The user'}: ${issue?.message ?? 'is not valid'}.`)
  }
  const given = parsed.data
  const primary = given.emails?.find((one) => one.primary === true) ?? given.emails?.[0]
  const address = primary?.value ?? given.userName
  if (!z.email().max(254).safeParse(address).success)
    throw invalidValue('A user needs an e-mail address: the primary one of emails, or the userName.')
  const attributes = Object.fromEntries(
    kept.flatMap((name) => (given[name] === undefined || given[name] === null ? [] : [[name, given[name]]])),
  )
  if (JSON.stringify(attributes).length > 16_000) throw invalidValue('A user has at most 16,000 characters.')
  return {
    userName: given.userName,
    email: address,
    externalId: given.externalId ?? null,
    displayName: given.displayName ?? null,
    givenName: given.name?.givenName ?? null,
    familyName: given.name?.familyName ?? null,
    active: given.active ?? active,
    attributes,
  }
}

/** The attributes that a client may write, as it sees them. */
export function writableOf(user: ScimUser): Record<string, unknown> {
  const { attributes } = user
  const stored = Array.isArray(attributes['emails'])
    ? (attributes['emails'] as Record<string, unknown>[])
    : []
  const first = stored.find((one) => one['primary'] === true) ?? stored[0]
  // The account's address may have been changed by its owner since.
  const emails = first
    ? stored.map((one) => (one === first ? { ...one, value: user.email } : one))
    : [{ value: user.email, type: 'work', primary: true }]
  return {
    ...attributes,
    userName: user.userName,
    ...(user.externalId === null ? {} : { externalId: user.externalId }),
    ...(user.displayName === null ? {} : { displayName: user.displayName }),
    active: user.active,
    emails,
  }
}

export const versionTag = (version: number): string => `W/"v${version}"`

export function userToScim(user: ScimUser, baseUrl: string): Record<string, unknown> {
  const location = `${baseUrl}/Users/${user.id}`
  const isEnterprise = Object.hasOwn(user.attributes, scimSchemas.enterprise)
  return {
    schemas: [scimSchemas.user, ...(isEnterprise ? [scimSchemas.enterprise] : [])],
    id: user.id,
    ...writableOf(user),
    groups: user.groups.map(({ id, name }) => ({
      value: id,
      $ref: `${baseUrl}/Groups/${id}`,
      display: name,
    })),
    meta: {
      resourceType: 'User',
      created: new Date(user.createdAt).toISOString(),
      lastModified: new Date(user.updatedAt).toISOString(),
      location,
      version: versionTag(user.version),
    },
  }
}
