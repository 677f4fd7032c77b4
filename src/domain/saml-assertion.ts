import { samlNames, SamlFailure, type SamlPlace } from './saml.ts'
import { groupsOf } from './sso.ts'
import { attributeOf, childrenOf, everyElement, textOf, type XmlElement } from './xml.ts'

const { assertion, bearer, nameId, transient } = samlNames

/** How far the provider's clock may be off. */
const skewMs = 60_000

/** What the assertion must be about, and what of it is wanted. */
export type Wanted = {
  place: SamlPlace
  requestId: string
  /** The provider's entity id. */
  issuer: string
  /** Null takes the name id, where it is an address. */
  emailAttribute: string | null
  nameAttribute: string | null
  groupsAttribute: string | null
}
/** Whom the provider vouches for. */
export type SamlPerson = {
  subject: string
  email: string | undefined
  name: string | undefined
  groups: string[]
  amr: string[]
}

/** Says of an assertion whose signature holds whether it is for this sign-in, now; and of whom it is. */
export function readAssertion(root: XmlElement, wanted: Wanted, now: Date): SamlPerson {
  if (root.namespace !== assertion || root.local !== 'Assertion' || attributeOf(root, 'Version') !== '2.0')
    throw new SamlFailure('no_assertion', 'What is signed is no assertion of SAML 2.0.')
  if (textOf(one(root, 'Issuer')) !== wanted.issuer)
    throw new SamlFailure('issuer_wrong', `The assertion is not of ${wanted.issuer}.`)
  const subject = one(root, 'Subject')
  refuseConfirmation(subject, wanted, now)
  refuseConditions(one(root, 'Conditions'), wanted.place, now)
  const statements = childrenOf(root, assertion, 'AuthnStatement')
  if (statements.length === 0)
    throw new SamlFailure('no_authentication', 'The assertion does not say that they signed in.')
  for (const statement of statements) refuseOver(attributeOf(statement, 'SessionNotOnOrAfter'), now)
  return personOf(root, subject, statements, wanted)
}

function one(parent: XmlElement, local: string): XmlElement {
  const [found, more] = childrenOf(parent, assertion, local)
  if (!found || more)
    throw new SamlFailure(
      'malformed',
      `The assertion must hold one ${local} and holds ${more ? 'more' : 'none'}.`,
    )
  return found
}

/** At least one way in which the bearer is confirmed must hold whole: for us, for this request, for now. */
function refuseConfirmation(subject: XmlElement, { place, requestId }: Wanted, now: Date): void {
  const bearers = childrenOf(subject, assertion, 'SubjectConfirmation').filter(
    (confirmation) => attributeOf(confirmation, 'Method') === bearer,
  )
  const faults = bearers.map((confirmation) => {
    const data = one(confirmation, 'SubjectConfirmationData')
    const inResponseTo = attributeOf(data, 'InResponseTo')
    if (attributeOf(data, 'Recipient') !== place.acsUrl)
      return new SamlFailure('recipient_wrong', `The assertion is for another address than ${place.acsUrl}.`)
    if (inResponseTo === undefined)
      return new SamlFailure('unsolicited', 'Nobody asked for this assertion: a sign-in must begin here.')
    if (inResponseTo !== requestId)
      return new SamlFailure(
        'other_request',
        'The assertion answers another request than the one of this sign-in.',
      )
    const until = attributeOf(data, 'NotOnOrAfter')
    if (until === undefined)
      return new SamlFailure('no_end', 'The assertion does not say until when it is good.')
    return timeFault(attributeOf(data, 'NotBefore'), until, now)
  })
  if (faults.includes(undefined)) return
  throw faults[0] ?? new SamlFailure('no_bearer', 'The assertion does not confirm its bearer.')
}

function refuseConditions(conditions: XmlElement, place: SamlPlace, now: Date): void {
  const fault = timeFault(attributeOf(conditions, 'NotBefore'), attributeOf(conditions, 'NotOnOrAfter'), now)
  if (fault) throw fault
  for (const { namespace, local } of conditions.children)
    if (namespace !== assertion || !['AudienceRestriction', 'OneTimeUse', 'ProxyRestriction'].includes(local))
      throw new SamlFailure(
        'condition_unknown',
        `The assertion has the condition ${local}, which is not known here.`,
      )
  const restrictions = childrenOf(conditions, assertion, 'AudienceRestriction')
  const isOurs = restrictions.every((restriction) =>
    childrenOf(restriction, assertion, 'Audience').some((audience) => textOf(audience) === place.entityId),
  )
  if (restrictions.length === 0 || !isOurs)
    throw new SamlFailure('audience_wrong', `The assertion is not for the audience ${place.entityId}.`)
}

function refuseOver(until: string | undefined, now: Date): void {
  const fault = timeFault(undefined, until, now)
  if (fault) throw fault
}

function timeFault(from: string | undefined, until: string | undefined, now: Date): SamlFailure | undefined {
  const [begins, ends] = [timeOf(from), timeOf(until)]
  if (begins !== undefined && now.getTime() + skewMs < begins)
    return new SamlFailure(
      'not_yet',
      `The assertion is good from ${from}: a clock is wrong, or it was made for later.`,
    )
  if (ends !== undefined && now.getTime() - skewMs >= ends)
    return new SamlFailure('over', `The assertion was good until ${until}.`)
  return undefined
}

function timeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw new SamlFailure('malformed', 'The assertion has a time that is none in UTC.')
  return time
}

function personOf(
  root: XmlElement,
  subject: XmlElement,
  statements: readonly XmlElement[],
  wanted: Wanted,
): SamlPerson {
  const named = one(subject, 'NameID')
  const format = attributeOf(named, 'Format') ?? `${nameId}:unspecified`
  if (format === transient)
    throw new SamlFailure(
      'transient_name_id',
      'The name id is another one at each sign-in; let the provider send a persistent one, or the address.',
    )
  const text = textOf(named) ?? ''
  if (text === '' || text.length > 255 || /\p{Cc}/u.test(text))
    throw new SamlFailure('bad_subject', 'The provider gave no name id, or one of more than 255 characters.')
  const attributes = attributesOf(root)
  if (wanted.groupsAttribute !== null && attributes.has(microsoftLink))
    throw new SamlFailure(
      'too_many_groups',
      'The provider left the groups out, being too many; let it send only those assigned to the application.',
    )
  const valuesOf = (name: string | null) => (name === null ? [] : (attributes.get(name) ?? []))
  const isAddress = format === `${nameId}:emailAddress` || format === `${nameId}:unspecified`
  const emails = wanted.emailAttribute === null ? (isAddress ? [text] : []) : valuesOf(wanted.emailAttribute)
  if (emails.length > 1)
    throw new SamlFailure('several_addresses', `The attribute ${wanted.emailAttribute} has several values.`)
  const [email = ''] = emails
  const [name = ''] = valuesOf(wanted.nameAttribute)
  return {
    subject: text,
    email: email.length <= 254 && /^[^\s@]+@[^\s@]+$/.test(email) ? email : undefined,
    name: name === '' || /\p{Cc}/u.test(name) ? undefined : name.slice(0, 255),
    groups: groupsOf(valuesOf(wanted.groupsAttribute)),
    amr: amrOf(statements, attributes),
  }
}

/** The texts of each attribute; a value that is no plain text is none. */
function attributesOf(root: XmlElement): ReadonlyMap<string, string[]> {
  const found = new Map<string, string[]>()
  for (const statement of childrenOf(root, assertion, 'AttributeStatement'))
    for (const attribute of childrenOf(statement, assertion, 'Attribute')) {
      const values = childrenOf(attribute, assertion, 'AttributeValue').flatMap(
        (value) => textOf(value) ?? [],
      )
      const name = attributeOf(attribute, 'Name') ?? ''
      found.set(name, [...(found.get(name) ?? []), ...values])
    }
  return found
}

/** Stands where the groups would be when they are more than Microsoft sends. */
const microsoftLink = 'http://schemas.microsoft.com/claims/groups.link'
const microsoftMethods = 'http://schemas.microsoft.com/claims/authnmethodsreferences'
const severalFactors: ReadonlySet<string> = new Set([
  'https://refeds.org/profile/mfa',
  'http://schemas.microsoft.com/claims/multipleauthn',
])

/** How they signed in there: the class as it is said, and `mfa` where a class or Microsoft's own attribute means it. */
function amrOf(statements: readonly XmlElement[], attributes: ReadonlyMap<string, string[]>): string[] {
  const classes = statements
    .flatMap((statement) => [...everyElement(statement)])
    .filter(({ namespace, local }) => namespace === assertion && local === 'AuthnContextClassRef')
    .flatMap((element) => textOf(element) ?? [])
  const said = [...classes, ...(attributes.get(microsoftMethods) ?? [])]
  const shown = classes.filter((text) => /^[\x21-\x7e]{1,100}$/.test(text)).slice(0, 5)
  return [
    ...(said.some((text) => severalFactors.has(text)) ? ['mfa'] : []),
    ...shown.map((text) => `acr:${text}`),
  ]
}
