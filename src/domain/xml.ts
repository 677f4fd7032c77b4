/** An element: its names resolved, its attributes without the declarations of names, its text as one. */
export type XmlElement = {
  namespace: string
  local: string
  attributes: readonly XmlAttribute[]
  children: readonly XmlElement[]
  /** What stands directly in it, around its children. */
  text: string
}
export type XmlAttribute = { namespace: string; local: string; value: string }

export class XmlFailure extends Error {
  override readonly name = 'XmlFailure'
  readonly code: 'xml_malformed' | 'xml_forbidden' | 'too_large'

  constructor(code: XmlFailure['code'], message: string) {
    super(message)
    this.code = code
  }
}

type Limits = { characters: number; depth: number; elements: number; attributes: number }
const defaults: Limits = { characters: 256 * 1024, depth: 32, elements: 10_000, attributes: 64 }

type Open = {
  tag: string
  namespace: string
  local: string
  attributes: XmlAttribute[]
  children: XmlElement[]
  text: string
  names: ReadonlyMap<string, string>
}

const xmlNamespace = 'http://www.w3.org/XML/1998/namespace'
const declaration =
  /^<\?xml version=(["'])1\.0\1( encoding=(["'])utf-8\3)?( standalone=(["'])(yes|no)\5)?\s*\?>/i
/** And the two that XML 1.1 takes for ends of lines, which some readers of XML 1.0 do as well. */
const illegal = /[^\t\n\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]|[\x85\u2028]/u
const name = '[A-Za-z_][A-Za-z0-9_.-]*'
const tagName = new RegExp(`${name}(?::${name})?`, 'y')
const oneAttribute = new RegExp(
  `[\\t\\n ]+(${name}(?::${name})?)[\\t\\n ]*=[\\t\\n ]*(?:"([^"<]*)"|'([^'<]*)')`,
  'y',
)
const tagEnd = /[\t\n ]*(\/?)>/y
const comment = /<!--(?:(?!--)[^])*-->/y
const reference = /&(?:#x([0-9A-Fa-f]{1,6})|#([0-9]{1,7})|(amp|lt|gt|quot|apos));/g
const oddReference = /&(?!(?:#x[0-9A-Fa-f]{1,6}|#[0-9]{1,7}|amp|lt|gt|quot|apos);)[^;&]{0,12};?/
const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

const malformed = (message: string) => new XmlFailure('xml_malformed', message)

/**
 * Reads the part of XML in which no two readers can differ: names in ASCII, no document type, no entities but the five, no
 * processing instructions, no CDATA and, where nobody asks for them, no comments. Lines end in LF alone.
 */
export function parseXml(
  text: string,
  { comments = false, ...given }: Partial<Limits> & { comments?: boolean } = {},
): XmlElement {
  const limits = { ...defaults, ...given }
  if (text.length > limits.characters)
    throw new XmlFailure('too_large', `The document has more than ${limits.characters} characters.`)
  if (illegal.test(text))
    throw malformed('The document has a character that XML does not know or not all readers read alike.')
  const open: Open[] = []
  let root: XmlElement | undefined
  let elements = 0
  let at = declaration.exec(text)?.[0].length ?? 0
  while (at < text.length) {
    const top = open.at(-1)
    if (text[at] !== '<') {
      const end = text.indexOf('<', at)
      const run = text.slice(at, end < 0 ? text.length : end)
      if (top) top.text += plain(run)
      else if (/[^\t\n ]/.test(run)) throw malformed('There is text outside the document.')
      at += run.length
    } else if (text[at + 1] === '/') {
      const tag = `</${top?.tag ?? ''}`
      if (!top || !text.startsWith(tag, at)) throw malformed('An element is closed that was not opened.')
      at = ended(text, at + tag.length, false).at
      root = close(open) ?? root
    } else if (text[at + 1] === '!' || text[at + 1] === '?') {
      if (!comments || !text.startsWith('<!--', at)) throw forbidden(text, at)
      at = matchAt(comment, text, at, 'A comment has no end.')[0].length + at
    } else {
      if (!top && root) throw malformed('There is more than one document.')
      if (++elements > limits.elements || open.length >= limits.depth)
        throw new XmlFailure(
          'too_large',
          `The document has over ${limits.elements} elements or is nested deeper than ${limits.depth}.`,
        )
      const begun = begin(text, at, top?.names ?? new Map(), limits.attributes)
      open.push(begun.element)
      at = begun.at
      if (begun.isEmpty) root = close(open) ?? root
    }
  }
  if (!root || open.length > 0) throw malformed('The document has no end.')
  return root
}

/** Ends the innermost element; gives it when it is the document's own. */
function close(open: Open[]): XmlElement | undefined {
  const done = open.pop()
  if (!done) return undefined
  const { namespace, local, attributes, children, text } = done
  const element = { namespace, local, attributes, children, text }
  open.at(-1)?.children.push(element)
  return open.length === 0 ? element : undefined
}

function forbidden(text: string, at: number): XmlFailure {
  const what = text.startsWith('<!--', at)
    ? 'a comment'
    : text.startsWith('<![CDATA[', at)
      ? 'a CDATA section'
      : text[at + 1] === '!'
        ? 'a document type or an entity'
        : 'a processing instruction'
  return new XmlFailure('xml_forbidden', `The document holds ${what}, which is not read here.`)
}

function matchAt(pattern: RegExp, text: string, at: number, otherwise: string): RegExpExecArray {
  pattern.lastIndex = at
  const found = pattern.exec(text)
  if (!found) throw malformed(otherwise)
  return found
}

function ended(text: string, at: number, mayBeEmpty: boolean): { at: number; isEmpty: boolean } {
  const found = matchAt(tagEnd, text, at, 'A tag is not written as XML.')
  const isEmpty = found[1] === '/'
  if (isEmpty && !mayBeEmpty) throw malformed('A closing tag has a slash at its end.')
  return { at: at + found[0].length, isEmpty }
}

function begin(text: string, start: number, around: ReadonlyMap<string, string>, most: number) {
  const [tag] = matchAt(tagName, text, start + 1, 'A tag has no name, or one that is not in ASCII.')
  let at = start + 1 + tag.length
  const given: [string, string][] = []
  for (;;) {
    oneAttribute.lastIndex = at
    const found = oneAttribute.exec(text)
    if (!found) break
    const [whole, key = '', double, single] = found
    if (given.some(([other]) => other === key)) throw malformed(`An element has the attribute ${key} twice.`)
    if (given.length >= most)
      throw new XmlFailure('too_large', `An element has more than ${most} attributes.`)
    // Readers make a space of a line break here, or do not.
    if (/[\t\n]/.test(double ?? single ?? ''))
      throw malformed(`The attribute ${key} has a line break or a tab.`)
    given.push([key, plain(double ?? single ?? '')])
    at += whole.length
  }
  const { at: after, isEmpty } = ended(text, at, true)
  const names = declared(given, around)
  const attributes = given.flatMap(([key, value]) =>
    key === 'xmlns' || key.startsWith('xmlns:') ? [] : [{ ...resolved(key, names, true), value }],
  )
  const unique = new Set(attributes.map(({ namespace, local }) => `${namespace} ${local}`))
  if (unique.size !== attributes.length)
    throw malformed('An element has an attribute twice, under two prefixes.')
  const element: Open = { tag, ...resolved(tag, names, false), attributes, children: [], text: '', names }
  return { element, at: after, isEmpty }
}

/** The prefixes that hold inside an element. */
function declared(
  given: readonly [string, string][],
  around: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const own = given.flatMap(([key, value]): [string, string][] =>
    key === 'xmlns' ? [['', value]] : key.startsWith('xmlns:') ? [[key.slice(6), value]] : [],
  )
  for (const [prefix, value] of own)
    if (prefix === 'xml' || prefix === 'xmlns' || (prefix !== '' && value === '') || value === xmlNamespace)
      throw malformed(`The prefix ${prefix} may not be declared like this.`)
  return own.length === 0 ? around : new Map([...around, ...own])
}

function resolved(key: string, names: ReadonlyMap<string, string>, isAttribute: boolean) {
  const colon = key.indexOf(':')
  const [prefix, local] = colon < 0 ? ['', key] : [key.slice(0, colon), key.slice(colon + 1)]
  if (prefix === 'xml') return { namespace: xmlNamespace, local }
  if (prefix === '') return { namespace: isAttribute ? '' : (names.get('') ?? ''), local }
  const namespace = names.get(prefix)
  if (namespace === undefined) throw malformed(`The prefix ${prefix} is declared nowhere.`)
  return { namespace, local }
}

/** Text without its references. */
function plain(raw: string): string {
  if (raw.includes(']]>')) throw malformed('The text holds "]]>".')
  if (!raw.includes('&')) return raw
  const odd = oddReference.exec(raw)
  if (odd)
    throw new XmlFailure('xml_forbidden', `The document uses the entity ${odd[0]}, which is not read here.`)
  return raw.replaceAll(reference, (_, hex?: string, decimal?: string, named?: string) => {
    if (named !== undefined) return entities[named] ?? ''
    const code = Number.parseInt(hex ?? decimal ?? '', hex === undefined ? 10 : 16)
    const character = code <= 0x10ffff ? String.fromCodePoint(code) : '\0'
    if (code !== 13 && illegal.test(character))
      throw malformed('A reference names a character that XML does not know.')
    return character
  })
}

/** An attribute without a prefix. */
export const attributeOf = (element: XmlElement, local: string): string | undefined =>
  element.attributes.find((one) => one.namespace === '' && one.local === local)?.value

export const childrenOf = (element: XmlElement, namespace: string, local: string): XmlElement[] =>
  element.children.filter((child) => child.namespace === namespace && child.local === local)

/** The text of an element that holds nothing else, without the space around it. */
export const textOf = (element: XmlElement): string | undefined =>
  element.children.length === 0 ? element.text.trim() : undefined

/** The element and everything in it. */
export function* everyElement(element: XmlElement): Generator<XmlElement> {
  yield element
  for (const child of element.children) yield* everyElement(child)
}

/** Text as it is written inside an element or an attribute. */
export const escapeXml = (text: string): string =>
  text.replaceAll(
    /[&<>"']/g,
    (character) =>
      ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' })[character] ?? '',
  )
