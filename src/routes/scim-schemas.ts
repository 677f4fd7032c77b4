import { scimSchemas } from '#src/domain/scim.ts'

type Attribute = {
  name: string
  type?: 'string' | 'boolean' | 'complex' | 'reference'
  multiValued?: boolean
  required?: boolean
  caseExact?: boolean
  mutability?: 'readWrite' | 'readOnly' | 'immutable'
  uniqueness?: 'none' | 'server'
  subAttributes?: Attribute[]
}

const full = ({ name, type = 'string', ...rest }: Attribute): object => ({
  name,
  type,
  multiValued: rest.multiValued ?? false,
  description: '',
  required: rest.required ?? false,
  mutability: rest.mutability ?? 'readWrite',
  returned: 'default',
  ...(type === 'string' ? { caseExact: rest.caseExact ?? false, uniqueness: rest.uniqueness ?? 'none' } : {}),
  ...(type === 'reference' ? { caseExact: true, referenceTypes: ['User', 'Group'] } : {}),
  ...(rest.subAttributes ? { subAttributes: rest.subAttributes.map(full) } : {}),
})

const valued = (name: string): Attribute => ({
  name,
  type: 'complex',
  multiValued: true,
  subAttributes: [{ name: 'value' }, { name: 'type' }, { name: 'primary', type: 'boolean' }],
})

const linked = (name: string, mutability: 'readOnly' | 'readWrite'): Attribute => ({
  name,
  type: 'complex',
  multiValued: true,
  mutability,
  subAttributes: [
    { name: 'value', mutability: mutability === 'readOnly' ? 'readOnly' : 'immutable' },
    { name: '$ref', type: 'reference', mutability: 'readOnly' },
    { name: 'display', mutability: 'readOnly' },
  ],
})

const user: Attribute[] = [
  { name: 'userName', required: true, uniqueness: 'server' },
  { name: 'displayName' },
  {
    name: 'name',
    type: 'complex',
    subAttributes: ['formatted', 'givenName', 'familyName', 'middleName'].map((name) => ({ name })),
  },
  ...['nickName', 'profileUrl', 'title', 'userType', 'preferredLanguage', 'locale', 'timezone'].map(
    (name) => ({
      name,
    }),
  ),
  { name: 'active', type: 'boolean' },
  ...['emails', 'phoneNumbers', 'ims', 'photos', 'entitlements', 'roles', 'x509Certificates'].map(valued),
  {
    name: 'addresses',
    type: 'complex',
    multiValued: true,
    subAttributes: ['formatted', 'streetAddress', 'locality', 'region', 'postalCode', 'country', 'type'].map(
      (name) => ({ name }),
    ),
  },
  linked('groups', 'readOnly'),
]
const enterprise: Attribute[] = [
  'employeeNumber',
  'costCenter',
  'organization',
  'division',
  'department',
].map((name) => ({ name }))
const group: Attribute[] = [
  { name: 'displayName', required: true, uniqueness: 'server' },
  linked('members', 'readWrite'),
]

const schemaOf = (id: string, name: string, attributes: readonly Attribute[], baseUrl: string) => ({
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:Schema'],
  id,
  name,
  description: name,
  attributes: attributes.map(full),
  meta: { resourceType: 'Schema', location: `${baseUrl}/Schemas/${id}` },
})

/** What the resources are made of (RFC 7643, 7). */
export const schemaList = (baseUrl: string) => [
  schemaOf(scimSchemas.user, 'User', user, baseUrl),
  schemaOf(scimSchemas.enterprise, 'EnterpriseUser', enterprise, baseUrl),
  schemaOf(scimSchemas.group, 'Group', group, baseUrl),
]

const typeOf = (name: 'User' | 'Group', schema: string, baseUrl: string, extensions: object[]) => ({
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:ResourceType'],
  id: name,
  name,
  endpoint: `/${name}s`,
  description: name,
  schema,
  ...(extensions.length > 0 ? { schemaExtensions: extensions } : {}),
  meta: { resourceType: 'ResourceType', location: `${baseUrl}/ResourceTypes/${name}` },
})

export const resourceTypes = (baseUrl: string) => [
  typeOf('User', scimSchemas.user, baseUrl, [{ schema: scimSchemas.enterprise, required: false }]),
  typeOf('Group', scimSchemas.group, baseUrl, []),
]

/** What of SCIM there is (RFC 7643, 5). */
export const serviceProviderConfig = (baseUrl: string, mostItems: number) => ({
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'],
  patch: { supported: true },
  bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
  filter: { supported: true, maxResults: mostItems },
  changePassword: { supported: false },
  sort: { supported: false },
  etag: { supported: true },
  authenticationSchemes: [
    {
      type: 'oauthbearertoken',
      name: 'API key',
      description: 'An API key with the permission scim:write as a bearer token.',
      primary: true,
    },
  ],
  meta: { resourceType: 'ServiceProviderConfig', location: `${baseUrl}/ServiceProviderConfig` },
})
