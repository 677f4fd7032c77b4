import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Tenant } from '#test/support/world.ts'
import { ssoWorld, type SsoWorld } from '#test/support/sso.ts'

let here: SsoWorld
let acme: Tenant & { domain: string }

beforeAll(async () => {
  here = await ssoWorld()
  acme = await here.company()
})
afterAll(() => here.close())

type Body = Record<string, unknown>
type User = Body & {
  id: string
  userName: string
  active: boolean
  meta: { version: string; location: string }
}
type List = { totalResults: number; itemsPerPage: number; startIndex: number; Resources: User[] }

const scim = async <T = Body>(
  path: string,
  method = 'GET',
  body?: unknown,
  tenant: Tenant = acme,
  headers = {},
) => {
  const answer = await tenant.fetch(`/scim/v2${path}`, {
    method,
    ...(body === undefined ? {} : { body }),
    headers: { 'Content-Type': 'application/scim+json', ...headers },
  })
  const text = await answer.text()
  if (text !== '') expect(answer.headers.get('content-type')).toBe('application/scim+json')
  return { status: answer.status, headers: answer.headers, body: (text === '' ? {} : JSON.parse(text)) as T }
}

const core = 'urn:ietf:params:scim:schemas:core:2.0:User'
const enterprise = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'
const newName = () => `u${crypto.randomUUID().slice(0, 8)}@${acme.domain}`
const someone = (more: Body = {}) => ({ schemas: [core], userName: newName(), active: true, ...more })
const made = async (more: Body = {}) => (await scim<User>('/Users', 'POST', someone(more))).body
const filtered = (filter: string, more = '') =>
  scim<List>(`/Users?filter=${encodeURIComponent(filter)}${more}`)
const patch = (path: string, ...Operations: Body[]) =>
  scim<User>(path, 'PATCH', { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations })
const roleOf = async (id: string) => {
  const answer = await acme.fetch(`/v1/members/${id}`)
  return answer.status === 404 ? undefined : ((await answer.json()) as { role: string }).role
}

describe('users', () => {
  it('are created as RFC 7644 (3.3) shows it', async () => {
    const userName = newName()
    const { status, headers, body } = await scim<User>('/Users', 'POST', {
      schemas: [core],
      userName,
      externalId: 'bjensen',
      name: { formatted: 'Ms. Barbara J Jensen III', familyName: 'Jensen', givenName: 'Barbara' },
      password: 't1meMa$heen',
    })
    expect(status).toBe(201)
    expect(body).toMatchObject({
      schemas: [core],
      userName,
      externalId: 'bjensen',
      active: true,
      name: { formatted: 'Ms. Barbara J Jensen III', familyName: 'Jensen' },
      emails: [{ value: userName, primary: true }],
      meta: { resourceType: 'User', version: 'W/"v1"', location: `${here.url}/scim/v2/Users/${body.id}` },
    })
    expect(JSON.stringify(body)).not.toContain('t1meMa$heen')
    expect(headers.get('location')).toBe(body.meta.location)
    expect(headers.get('etag')).toBe('W/"v1"')
    expect(await roleOf(body.id)).toBe('viewer')
    const again = await scim('/Users', 'POST', { schemas: [core], userName: userName.toUpperCase() })
    expect(again).toMatchObject({ status: 409, body: { status: '409', scimType: 'uniqueness' } })
  })

  it('have no password to sign in with', async () => {
    const { userName } = await made()
    for (const password of ['', 'null', 'undefined', 'correct horse battery staple']) {
      const answer = await fetch(`${here.url}/v1/sessions`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ email: userName, password }),
      })
      expect(answer.status).toBe(401)
    }
  })

  it('are only people of the tenant’s own domains', async () => {
    for (const userName of ['somebody@example.org', `owner@${(await here.company()).domain}`, 'no address']) {
      const answer = await scim('/Users', 'POST', { schemas: [core], userName })
      expect(answer).toMatchObject({ status: 400, body: { scimType: 'invalidValue' } })
    }
  })

  it('are replaced, with the version that is meant', async () => {
    const user = await made({ title: 'Engineer', [enterprise]: { department: 'Data' } })
    const path = `/Users/${user.id}`
    const body = { schemas: [core], userName: user.userName, displayName: 'Ada', externalId: 'e1' }
    const first = await scim<User>(path, 'PUT', body, acme, { 'If-Match': user.meta.version })
    expect(first).toMatchObject({
      status: 200,
      body: { displayName: 'Ada', active: true, meta: { version: 'W/"v2"' } },
    })
    expect(first.body).not.toHaveProperty('title')
    const stale = await scim(path, 'PUT', body, acme, { 'If-Match': user.meta.version })
    expect(stale).toMatchObject({ status: 412, body: { status: '412' } })
    const fresh = await acme.fetch(`/scim/v2${path}`, { headers: { 'If-None-Match': 'W/"v2"' } })
    expect(fresh.status).toBe(304)
  })

  it('are not made active by a replacement that says nothing of it', async () => {
    const user = await made({ active: false })
    expect(await roleOf(user.id)).toBeUndefined()
    const { body } = await scim<User>(`/Users/${user.id}`, 'PUT', {
      schemas: [core],
      userName: user.userName,
    })
    expect(body.active).toBe(false)
  })

  it.each<[string, (user: User) => Body[], Body]>([
    [
      'RFC 7644: replace with a path',
      () => [{ op: 'replace', path: 'displayName', value: 'New' }],
      { displayName: 'New' },
    ],
    [
      'RFC 7644: add without a path',
      () => [{ op: 'add', value: { nickName: 'Babs' } }],
      { nickName: 'Babs' },
    ],
    ['Okta: replace without a path', () => [{ op: 'replace', value: { active: false } }], { active: false }],
    [
      'Entra: Replace, and False as text',
      () => [{ op: 'Replace', path: 'active', value: 'False' }],
      { active: false },
    ],
    [
      'Entra: dotted names without a path',
      () => [{ op: 'Add', value: { 'name.givenName': 'Ada', 'name.familyName': 'L' } }],
      { name: { givenName: 'Ada', familyName: 'L' } },
    ],
    [
      'Entra: an extension by its path',
      () => [{ op: 'Add', path: `${enterprise}:department`, value: 'Data' }],
      { [enterprise]: { department: 'Data' } },
    ],
    [
      'an extension as a whole',
      () => [{ op: 'add', value: { [enterprise]: { department: 'Data' } } }],
      { [enterprise]: { department: 'Data' } },
    ],
    [
      'Entra: a part of what is not there yet',
      () => [{ op: 'Replace', path: 'phoneNumbers[type eq "work"].value', value: '+49' }],
      { phoneNumbers: [{ type: 'work', value: '+49' }] },
    ],
    [
      'names in any case, with the schema before them',
      () => [{ op: 'REPLACE', path: `${core}:DISPLAYNAME`, value: 'X' }],
      { displayName: 'X' },
    ],
    [
      'what is read only is left alone',
      ({ id }) => [{ op: 'replace', value: { id: `${id}x`, displayName: 'X' } }],
      { displayName: 'X' },
    ],
  ])('are patched: %s', async (_, operations, expected) => {
    const user = await made()
    const answer = await patch(`/Users/${user.id}`, ...operations(user))
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({ ...expected, id: user.id })
    expect((await scim(`/Users/${user.id}`)).body).toEqual(answer.body)
  })

  it('lose an attribute that is removed', async () => {
    const user = await made({ title: 'Engineer', displayName: 'Ada' })
    const { status, body } = await patch(
      `/Users/${user.id}`,
      { op: 'remove', path: 'title' },
      { op: 'Remove', path: 'displayName' },
    )
    expect(status).toBe(200)
    expect(body).not.toHaveProperty('title')
    expect(body).not.toHaveProperty('displayName')
  })

  it.each<[string, Body, string]>([
    ['an unknown operation', { op: 'move', path: 'title', value: 'x' }, 'invalidSyntax'],
    ['a removal of nothing', { op: 'remove' }, 'noTarget'],
    ['a value that is none', { op: 'replace', path: 'active', value: 'perhaps' }, 'invalidValue'],
    ['the removal of the name', { op: 'remove', path: 'userName' }, 'invalidValue'],
    ['a broken path', { op: 'replace', path: 'emails[type eq', value: 'x' }, 'invalidPath'],
    ['what all objects share', { op: 'add', path: '__proto__.polluted', value: 'x' }, 'invalidPath'],
    [
      'what all objects share, by another way',
      { op: 'add', path: 'name.constructor.prototype.polluted', value: 'x' },
      'invalidPath',
    ],
  ])('are not patched with %s', async (_, operation, scimType) => {
    const user = await made()
    const answer = await patch(`/Users/${user.id}`, operation)
    expect(answer).toMatchObject({
      status: 400,
      body: { schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'] },
    })
    expect((answer.body as Body)['scimType']).toBe(scimType)
    expect(({} as Body)['polluted']).toBeUndefined()
    expect((await scim<User>(`/Users/${user.id}`)).body.meta.version).toBe('W/"v1"')
  })

  it('keep every change of many at once', async () => {
    const user = await made()
    const names = ['nickName', 'title', 'locale', 'timezone']
    const answers = await Promise.all(
      names.map((name) => patch(`/Users/${user.id}`, { op: 'replace', path: name, value: name })),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    const { body } = await scim<User>(`/Users/${user.id}`)
    expect(body).toMatchObject(Object.fromEntries(names.map((name) => [name, name])))
  })

  it('change their address within the tenant’s domains, and only there', async () => {
    const user = await made()
    const value = newName()
    const moved = await patch(`/Users/${user.id}`, {
      op: 'replace',
      path: 'emails[type eq "work"].value',
      value,
    })
    expect(moved.body).toMatchObject({ emails: [{ value }] })
    const taken = await patch(`/Users/${user.id}`, {
      op: 'replace',
      path: 'emails[type eq "work"].value',
      value: (await made()).userName,
    })
    expect(taken).toMatchObject({ status: 409, body: { scimType: 'uniqueness' } })
    const away = await patch(`/Users/${user.id}`, {
      op: 'replace',
      path: 'emails[type eq "work"].value',
      value: 'x@example.org',
    })
    expect(away).toMatchObject({ status: 400, body: { scimType: 'invalidValue' } })
    const owner = await filtered(`userName eq "${acme.email}"`)
    const stolen = await patch(`/Users/${owner.body.Resources[0]?.id ?? ''}`, {
      op: 'replace',
      path: 'emails',
      value: [{ value: newName() }],
    })
    expect(stolen).toMatchObject({ status: 400, body: { scimType: 'invalidValue' } })
  })

  it('are taken out, and may come back', async () => {
    const user = await made()
    expect((await scim(`/Users/${user.id}`, 'DELETE')).status).toBe(204)
    expect(await scim(`/Users/${user.id}`)).toMatchObject({ status: 404, body: { status: '404' } })
    expect(await roleOf(user.id)).toBeUndefined()
    const back = await scim<User>('/Users', 'POST', { schemas: [core], userName: user.userName })
    expect(back).toMatchObject({ status: 201, body: { id: user.id } })
  })

  it('never are the last owner who is taken out', async () => {
    const { body } = await filtered(`userName eq "${acme.email}"`)
    const path = `/Users/${body.Resources[0]?.id ?? ''}`
    expect(await patch(path, { op: 'replace', path: 'active', value: false })).toMatchObject({
      status: 400,
      body: { scimType: 'mutability' },
    })
    expect(await scim(path, 'DELETE')).toMatchObject({ status: 400, body: { scimType: 'mutability' } })
    expect((await acme.fetch('/v1/me')).status).toBe(200)
  })
})

describe('suspending', () => {
  it('ends a session at once, and gives role and teams back with the membership', async () => {
    const globex = await here.company()
    const scimOf = async (path: string, method: string, body: unknown) =>
      scim<User>(path, method, body, globex)
    const userName = `u@${globex.domain}`
    const { body: user } = await scimOf('/Users', 'POST', { schemas: [core], userName })
    const { body: group } = await scimOf('/Groups', 'POST', {
      displayName: 'Data',
      members: [{ value: user.id }],
    })
    const { completeSignIn } = await import('#src/actions/sessions.ts')
    const found = await completeSignIn(here.services, {
      userId: user.id as never,
      email: userName,
      tenantId: globex.id,
      amr: ['sso'],
    })
    if (found.ok !== true) throw new Error('no session')
    const renew = (refreshToken: string) =>
      fetch(`${here.url}/v1/sessions/refresh`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ refreshToken }),
      })
    const renewed = (await (await renew(found.session.refreshToken)).json()) as {
      accessToken: string
      refreshToken: string
    }
    const me = () =>
      fetch(`${here.url}/v1/me`, { headers: { Authorization: `Bearer ${renewed.accessToken}` } })
    expect((await me()).status).toBe(200)

    const off = {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op: 'Replace', path: 'active', value: 'False' }],
    }
    expect((await scimOf(`/Users/${user.id}`, 'PATCH', off)).status).toBe(200)
    expect((await me()).status).toBe(401)
    expect((await renew(renewed.refreshToken)).status).toBe(401)
    expect((await scimOf(`/Groups/${group.id}`, 'GET', undefined)).body).toMatchObject({
      members: [{ value: user.id }],
    })

    const on = { ...off, Operations: [{ op: 'replace', value: { active: true } }] }
    const back = await scimOf(`/Users/${user.id}`, 'PATCH', on)
    expect(back.body).toMatchObject({ active: true, groups: [{ value: group.id, display: 'Data' }] })
    expect(await (await globex.fetch(`/v1/members/${user.id}`)).json()).toMatchObject({ role: 'viewer' })
  })
})

describe('the list', () => {
  it('is filtered by the database, whatever is in the filter', async () => {
    const tag = crypto.randomUUID().slice(0, 8)
    const one = await made({
      externalId: `One-${tag}`,
      displayName: `Ada ${tag}`,
      name: { familyName: `Lovelace${tag}` },
    })
    const two = await made({ externalId: `Two-${tag}`, displayName: `Bob ${tag}`, active: false })
    const cases: [string, User[]][] = [
      [`userName eq "${one.userName.toUpperCase()}"`, [one]],
      [`externalId eq "One-${tag}"`, [one]],
      [`externalId eq "one-${tag}"`, []],
      [`displayName co "${tag}"`, [one, two]],
      [`displayName sw "ada" and displayName ew "${tag}"`, [one]],
      [`displayName co "${tag}" and active eq true`, [one]],
      [`displayName co "${tag}" and active eq "False"`, [two]],
      [`displayName co "${tag}" and not (active eq true)`, [two]],
      [`externalId eq "One-${tag}" or externalId eq "Two-${tag}"`, [one, two]],
      [`emails[type eq "work" and value eq "${one.userName}"]`, [one]],
      [`emails.value eq "${two.userName}"`, [two]],
      [`emails eq "${two.userName}"`, [two]],
      [`${core}:userName eq "${one.userName}"`, [one]],
      [`name.familyName pr and displayName co "${tag}"`, [one]],
      [`name.familyName eq null and displayName co "${tag}"`, [two]],
      [`displayName co "${tag}" and meta.lastModified gt "2020-01-01T00:00:00Z"`, [one, two]],
      [`displayName co "${tag}" and meta.lastModified lt "2020-01-01T00:00:00Z"`, []],
      [`userName eq "' or 1=1; --"`, []],
      [`displayName co "%"`, []],
      [`id eq "${one.id}"`, [one]],
    ]
    for (const [filter, expected] of cases) {
      const { status, body } = await filtered(filter)
      expect(status, filter).toBe(200)
      expect(body.Resources.map(({ id }) => id).toSorted(), filter).toEqual(
        expected.map(({ id }) => id).toSorted(),
      )
      expect(body.totalResults, filter).toBe(expected.length)
    }
  })

  it.each([
    'userName',
    'userName eq',
    'password eq "x"',
    'active gt true',
    'meta.created co "x"',
    'userName eq "a',
    '('.repeat(3000),
    'u.user_id eq "x"',
    '__proto__ eq "x"',
  ])('refuses the filter %j', async (filter) => {
    expect(await filtered(filter)).toMatchObject({ status: 400, body: { scimType: 'invalidFilter' } })
  })

  it('is given in pages, each user once', async () => {
    const tag = crypto.randomUUID().slice(0, 8)
    const users = []
    for (let i = 0; i < 5; i++) users.push(await made({ displayName: `${tag} ${i}` }))
    const page = (more: string) => filtered(`displayName sw "${tag}"`, more)
    const seen: string[] = []
    for (let startIndex = 1; startIndex <= 5; startIndex += 2) {
      const { body } = await page(`&startIndex=${startIndex}&count=2`)
      expect(body).toMatchObject({ totalResults: 5, startIndex, itemsPerPage: startIndex === 5 ? 1 : 2 })
      seen.push(...body.Resources.map(({ id }) => id))
    }
    expect(seen).toEqual(users.map(({ id }) => id))
    expect((await page('&count=0')).body).toMatchObject({ totalResults: 5, itemsPerPage: 0, Resources: [] })
    expect((await page('&startIndex=-3&count=1')).body).toMatchObject({ startIndex: 1, itemsPerPage: 1 })
    expect((await page('&startIndex=99')).body).toMatchObject({ totalResults: 5, Resources: [] })
    const few = (await page('&attributes=userName')).body.Resources[0]
    expect(Object.keys(few ?? {}).toSorted()).toEqual(['id', 'meta', 'schemas', 'userName'])
  })

  it('holds everybody who is in the tenant, also who came by hand', async () => {
    const { body } = await filtered(`userName eq "${acme.email}"`)
    expect(body).toMatchObject({ totalResults: 1, Resources: [{ userName: acme.email, active: true }] })
  })
})

describe('groups', () => {
  const group = async (more: Body = {}) =>
    (await scim<User>('/Groups', 'POST', { displayName: `g-${crypto.randomUUID()}`, ...more })).body
  const memberIds = async (id: string) =>
    ((await scim<Body>(`/Groups/${id}`)).body['members'] as { value: string }[])
      .map(({ value }) => value)
      .toSorted()

  it('are teams', async () => {
    const [ada, bob] = [await made(), await made()]
    const data = await group({ externalId: 'g1', members: [{ value: ada.id }] })
    expect(data).toMatchObject({
      externalId: 'g1',
      members: [{ value: ada.id }],
      meta: { resourceType: 'Group' },
    })
    expect((await scim<User>(`/Users/${ada.id}`)).body['groups']).toEqual([
      { value: data.id, $ref: `${here.url}/scim/v2/Groups/${data.id}`, display: data['displayName'] },
    ])
    const path = `/Groups/${data.id}`
    await patch(path, { op: 'Add', path: 'members', value: [{ value: bob.id }] })
    expect(await memberIds(data.id)).toEqual([ada.id, bob.id].toSorted())
    await patch(path, { op: 'remove', path: `members[value eq "${ada.id}"]` })
    expect(await memberIds(data.id)).toEqual([bob.id])
    await patch(path, { op: 'Remove', path: 'members', value: [{ value: bob.id }] })
    expect(await memberIds(data.id)).toEqual([])
    await patch(path, {
      op: 'replace',
      value: { id: data.id, displayName: 'Renamed', members: [{ value: ada.id }] },
    })
    expect((await scim(path)).body).toMatchObject({ displayName: 'Renamed', members: [{ value: ada.id }] })
    await patch(path, { op: 'remove', path: 'members' })
    expect(await memberIds(data.id)).toEqual([])
    const { body: without } = await scim(`${path}?excludedAttributes=members`)
    expect(without).not.toHaveProperty('members')
    expect((await scim(path, 'DELETE')).status).toBe(204)
    expect((await scim(path)).status).toBe(404)
  })

  it('keep every member of many added at once', async () => {
    const data = await group()
    const users = await Promise.all(Array.from({ length: 6 }, () => made()))
    const answers = await Promise.all(
      users.map(({ id }) =>
        patch(`/Groups/${data.id}`, { op: 'add', path: 'members', value: [{ value: id }] }),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual(users.map(() => 200))
    expect(await memberIds(data.id)).toEqual(users.map(({ id }) => id).toSorted())
  })

  it('hold users of this tenant only, and have names of their own', async () => {
    const globex = await here.company()
    const theirs = (
      await scim<User>('/Users', 'POST', { schemas: [core], userName: `x@${globex.domain}` }, globex)
    ).body
    for (const value of [theirs.id, 'usr_nobody']) {
      const answer = await scim('/Groups', 'POST', { displayName: crypto.randomUUID(), members: [{ value }] })
      expect(answer).toMatchObject({ status: 400, body: { scimType: 'invalidValue' } })
    }
    const data = await group()
    expect(await scim('/Groups', 'POST', { displayName: data['displayName'] })).toMatchObject({
      status: 409,
      body: { scimType: 'uniqueness' },
    })
    const stolen = await scim(`/Groups/${data.id}`, 'PUT', { displayName: 'Mine' }, globex)
    expect(stolen.status).toBe(404)
  })

  it('are found by name and by member', async () => {
    const ada = await made()
    const data = await group({ members: [{ value: ada.id }] })
    for (const filter of [
      `displayName eq "${String(data['displayName'])}"`,
      `members eq "${ada.id}"`,
      `members[value eq "${ada.id}"]`,
    ]) {
      const { body } = await scim<List>(`/Groups?filter=${encodeURIComponent(filter)}`)
      expect(
        body.Resources.map(({ id }) => id),
        filter,
      ).toEqual([data.id])
    }
  })

  it('give the roles that the provider’s map says, and take them away', async () => {
    const globex = await here.company()
    await here.provider(globex, {
      issuer: 'http://127.0.0.1:9',
      clientId: 'weir',
      roleMap: [
        { group: 'admins', role: 'admin' },
        { group: 'people', role: 'developer' },
      ],
    })
    const of = (path: string, method: string, body: unknown) => scim<User>(path, method, body, globex)
    const { body: user } = await of('/Users', 'POST', { schemas: [core], userName: `x@${globex.domain}` })
    const role = async () => {
      const answer = await globex.fetch(`/v1/members/${user.id}`)
      return answer.status === 200 ? ((await answer.json()) as { role: string }).role : undefined
    }
    expect(await role()).toBeUndefined()
    const { body: people } = await of('/Groups', 'POST', {
      displayName: 'people',
      members: [{ value: user.id }],
    })
    expect(await role()).toBe('developer')
    const { body: admins } = await of('/Groups', 'POST', {
      displayName: 'admins',
      members: [{ value: user.id }],
    })
    expect(await role()).toBe('admin')
    await of(`/Groups/${admins.id}`, 'DELETE', undefined)
    expect(await role()).toBe('developer')
    await of(`/Groups/${people.id}`, 'PUT', { displayName: 'people', members: [] })
    expect(await role()).toBeUndefined()
    expect((await of(`/Users/${user.id}`, 'GET', undefined)).body.active).toBe(true)
  })
})

describe('the entrance', () => {
  it('is for API keys with scim:write', async () => {
    const answer = await fetch(`${here.url}/scim/v2/Users`)
    expect(answer.status).toBe(401)
    expect(answer.headers.get('content-type')).toBe('application/scim+json')
    const bearer = (credential: string) =>
      scim('/Users', 'GET', undefined, acme, { Authorization: `Bearer ${credential}` })
    expect(await bearer(acme.accessToken)).toMatchObject({ status: 403, body: { status: '403' } })
    const weak = await acme.fetch('/v1/api-keys', {
      method: 'POST',
      body: { name: 'weak', scopes: ['members:read'] },
    })
    expect(await bearer(((await weak.json()) as { key: string }).key)).toMatchObject({ status: 403 })
  })

  it('shows nobody of another tenant', async () => {
    const globex = await here.company()
    const user = await made()
    expect((await scim(`/Users/${user.id}`, 'GET', undefined, globex)).status).toBe(404)
    expect((await scim(`/Users/${user.id}`, 'DELETE', undefined, globex)).status).toBe(404)
    expect((await scim(`/Users/${user.id}`, 'PUT', { userName: user.userName }, globex)).status).toBe(404)
    const { body } = await scim<List>(
      `/Users?filter=${encodeURIComponent(`userName eq "${user.userName}"`)}`,
      'GET',
      undefined,
      globex,
    )
    expect(body.totalResults).toBe(0)
  })

  it('says what it can', async () => {
    expect((await scim('/ServiceProviderConfig')).body).toMatchObject({
      patch: { supported: true },
      bulk: { supported: false },
      etag: { supported: true },
    })
    expect((await scim('/ResourceTypes')).body).toMatchObject({ totalResults: 2 })
    expect((await scim(`/Schemas/${core}`)).body).toMatchObject({ id: core, name: 'User' })
    expect((await scim('/ResourceTypes/Group')).body).toMatchObject({ endpoint: '/Groups' })
    expect((await scim('/Bulk', 'POST', {})).status).toBe(404)
    expect((await scim('/Users', 'PUT', {})).status).toBe(405)
  })

  it.each([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['no name', '{"schemas":[]}'],
    ['a name twice', '{"userName":"a","userName":"b"}'],
  ])('refuses a body that is %s', async (_, body) => {
    expect(await scim('/Users', 'POST', body)).toMatchObject({ status: 400, body: { status: '400' } })
  })
})
