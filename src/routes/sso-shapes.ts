import * as z from 'zod'
import { readCertificate } from '#src/actions/sso/certificates.ts'
import { samlPlace } from '#src/domain/saml.ts'
import { clientAuths, ssoRole, type SsoProvider } from '#src/domain/sso.ts'

const name = z.string().trim().min(1).max(100)
const issuer = z
  .url({ protocol: /^https?$/ })
  .max(500)
  .refine((text) => !/[?#]/.test(text), { error: 'must have no query and no fragment' })
const attribute = z.string().min(1).max(200).nullable()
const both = {
  name,
  roleMap: z.array(z.strictObject({ group: z.string().min(1).max(256), role: ssoRole })).max(200),
  defaultRole: ssoRole.nullable(),
  jit: z.boolean(),
}
const ofOidc = {
  issuer,
  clientId: z.string().trim().min(1).max(300),
  clientAuth: z.enum(clientAuths).optional(),
  clientSecret: z.string().min(1).max(2_000).optional(),
  scopes: z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/, 'must be a scope')).max(20),
  groupsClaim: attribute,
}
const ofSaml = {
  metadata: z
    .string()
    .min(1)
    .max(256 * 1024)
    .optional(),
  entityId: z
    .string()
    .regex(/^[^\s\p{Cc}]{1,1024}$/u, 'must be of at most 1024 characters without spaces')
    .optional(),
  signInUrl: z
    .url({ protocol: /^https?$/ })
    .max(2_000)
    .optional(),
  certificates: z.array(z.string().max(12_000)).min(1).max(3).optional(),
  emailAttribute: attribute,
  nameAttribute: attribute,
  groupsAttribute: attribute,
}
const bothNew = {
  ...both,
  roleMap: both.roleMap.default([]),
  defaultRole: both.defaultRole.default(null),
  jit: both.jit.default(true),
}
const newOidc = z.strictObject({
  ...bothNew,
  ...ofOidc,
  kind: z.literal('oidc').default('oidc'),
  scopes: ofOidc.scopes.default([]),
  groupsClaim: ofOidc.groupsClaim.default(null),
})
const newSaml = z
  .strictObject({
    ...bothNew,
    ...ofSaml,
    kind: z.literal('saml'),
    emailAttribute: attribute.default(null),
    nameAttribute: attribute.default(null),
    groupsAttribute: attribute.default(null),
  })
  .transform(({ groupsAttribute, ...given }) => ({ ...given, groupsClaim: groupsAttribute }))
export const newProvider = z.discriminatedUnion('kind', [newOidc, newSaml])
/** Whichever kind it is; what is of the other is for the action to refuse. */
export const changedProvider = z
  .strictObject({ ...both, ...ofOidc, ...ofSaml })
  .partial()
  .refine((given) => given.groupsClaim === undefined || given.groupsAttribute === undefined, {
    error: 'must say groupsClaim or groupsAttribute',
  })
  .transform(({ groupsClaim, groupsAttribute, ...given }) => ({
    ...given,
    groupsClaim: groupsClaim === undefined ? groupsAttribute : groupsClaim,
  }))

/** The secret is never here: it only goes in. */
export function providerToJson(provider: SsoProvider, publicUrl: string) {
  const { id, kind, name, roleMap, defaultRole, groupsClaim, jit, createdAt, updatedAt } = provider
  const common = {
    id,
    name,
    roleMap,
    jit,
    ...(defaultRole === null ? {} : { defaultRole }),
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  }
  if (provider.kind === 'oidc') {
    const { issuer, clientId, clientAuth, scopes, clientSecret } = provider
    const claim = groupsClaim === null ? {} : { groupsClaim }
    return {
      ...common,
      kind,
      issuer,
      clientId,
      clientAuth,
      scopes,
      hasSecret: clientSecret !== null,
      ...claim,
    }
  }
  const { issuer: entityId, signInUrl, certificates, emailAttribute, nameAttribute } = provider
  return {
    ...common,
    kind,
    entityId,
    signInUrl,
    certificates: certificates.map(certificateToJson),
    ...(emailAttribute === null ? {} : { emailAttribute }),
    ...(nameAttribute === null ? {} : { nameAttribute }),
    ...(groupsClaim === null ? {} : { groupsAttribute: groupsClaim }),
    /** What the provider must be told of us. */
    serviceProvider: samlPlace(publicUrl, id),
  }
}

function certificateToJson(pem: string) {
  const read = readCertificate(pem)
  if (typeof read === 'string') return { pem }
  const { subject, fingerprint, from, until } = read
  return { pem, subject, fingerprint, notBefore: from.toISOString(), notAfter: until.toISOString() }
}
